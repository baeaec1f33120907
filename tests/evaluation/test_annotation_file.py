"""Annotation files: what is wrong with them, and those made from records."""

import io
import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from configs import factory
from dataloader import input_reader
from evaluation import annotation_file, record_annotations
from utils import errors, mask_utils, mode_keys


def _image_ids(path):
  content = annotation_file.load_annotations(path)
  return [image['id'] for image in content['images']]


def _content():
  return {
    'images': [{'id': 7, 'height': 4, 'width': 6}],
    'categories': [{'id': 3, 'name': 'cat'}],
    'annotations': [
      {'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [1, 1, 2, 3]}
    ],
  }


def _write(path, content):
  path.write_text(json.dumps(content))
  return str(path)


def test_objects_without_category(tmp_path):
  path = annotation_file.prepare(
    str(tmp_path),
    _write(tmp_path / 'a.json', _content()),
    '',
    use_category=False,
  )
  content = annotation_file.load_annotations(path)
  assert [entry['category_id'] for entry in content['annotations']] == [1]
  assert [entry['id'] for entry in content['categories']] == [1]


def test_area_and_crowd_have_defaults(tmp_path):
  path = _write(tmp_path / 'a.json', _content())
  annotation = annotation_file.load_annotations(path)['annotations'][0]
  assert (annotation['area'], annotation['iscrowd']) == (6, 0)
  assert _image_ids(path) == [7]


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32'])
def test_null_is_as_missing_and_text_as_a_number(tmp_path, encoding):
  content = _content()
  content['images'][0].update(id='7', height='4')
  content['annotations'][0].update(area=None, iscrowd=None, image_id=7.0)
  content['annotations'].append(
    dict(
      content['annotations'][0], area='900', iscrowd='1', bbox=[1, '1', 2, 3]
    )
  )
  path = tmp_path / 'a.json'
  path.write_bytes(json.dumps(content).encode(encoding))
  content = annotation_file.load_annotations(str(path))
  assert content['images'] == [{'id': 7, 'height': 4, 'width': 6}]
  first, second = content['annotations']
  expected = {'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [1, 1, 2, 3]}
  assert first == dict(expected, area=6, iscrowd=0)
  assert second == dict(expected, area=6, iscrowd=1)


def _without(key, owner=None):
  def change(content):
    del (content[owner][0] if owner else content)[key]

  return change


def _with(owner, **values):
  def change(content):
    content[owner][0].update(values)

  return change


def _twice(owner):
  def change(content):
    content[owner].append(content[owner][0])

  return change


@pytest.mark.parametrize(
  'change, reason',
  [
    (_without('images'), "no list 'images'"),
    (_without('annotations'), "no list 'annotations'"),
    (_without('categories'), "no list 'categories'"),
    (_without('id', 'images'), "entry of 'images' has no `id`"),
    (_without('height', 'images'), "entry of 'images' has no `height`"),
    (_without('id', 'categories'), "entry of 'categories' has no `id`"),
    (_without('bbox', 'annotations'), "of 'annotations' has no `bbox`"),
    (_without('image_id', 'annotations'), 'has no `image_id`'),
    (_twice('images'), "'images' holds the id 7 more than once"),
    (_twice('categories'), "'categories' holds the id 3 more than once"),
    (_with('images', id='²'), "the id '²', which is not an integer"),
    (
      _with('annotations', image_id=8),
      "annotation 1 has the image_id 8, which is not in 'images'",
    ),
    (
      _with('annotations', category_id=2),
      "annotation 1 has the category_id 2, which is not in 'categories'",
    ),
    (_with('annotations', image_id=[7]), 'is not an integer'),
    (_with('annotations', bbox=[1, 2, 3]), r'bbox \[1, 2, 3\]; needed'),
    (_with('annotations', bbox=[1, 2, 3, None]), 'needed are the four'),
    (_with('annotations', bbox=[1, 2, 3, float('nan')]), 'needed are the four'),
    (_with('annotations', bbox=[1, 2, -3, 4]), 'height is negative'),
    (_with('annotations', area=[]), 'area \\[\\]; needed is the number'),
    (_with('annotations', iscrowd=[1]), r'iscrowd \[1\], which is neither'),
    (_with('images', height=0), 'has no `height` of at least 1'),
    (_with('categories', name=[]), r'the name \[\], which is not text'),
  ],
)
def test_a_wrong_file_is_named_with_the_reason(tmp_path, change, reason):
  content = _content()
  change(content)
  path = _write(tmp_path / 'wrong.json', content)
  with pytest.raises(errors.DataError, match=r'wrong\.json: .*' + reason):
    annotation_file.load_annotations(path)


def test_run_lengths_of_a_large_image():
  runs = {'size': [5000, 4000], 'counts': [19999999, 1]}
  for rle in (runs, mask_utils.as_text(mask_utils.to_rle(runs, 5000, 4000))):
    assert annotation_file.is_segmentation(rle, 5000, 4000)


def test_masks_are_asked_for_if_needed(tmp_path):
  path = _write(tmp_path / 'a.json', _content())
  with pytest.raises(errors.DataError, match='no `segmentation`'):
    annotation_file.load_annotations(path, require_masks=True)
  for mask in (
    [[1, 1, 2, 2, 1, 2]],
    {'counts': [3, 21], 'size': [4, 6]},
    {'counts': '3e0', 'size': [4, 6]},
  ):
    content = _content()
    content['annotations'][0]['segmentation'] = mask
    path = _write(tmp_path / 'a.json', content)
    annotation_file.load_annotations(path, require_masks=True)


@pytest.mark.parametrize(
  'text, reason',
  [
    ('{"images": [', 'is not JSON'),
    ('[1, 2]', "no list 'images'"),
    ('', 'is not JSON'),
    ('[' * 100000, 'nested too deeply'),
    (None, 'No such file'),
  ],
)
def test_what_is_no_annotation_file_is_named(tmp_path, text, reason):
  path = tmp_path / 'wrong.json'
  if text is not None:
    path.write_text(text)
  with pytest.raises(errors.DataError, match=r'wrong\.json: .*' + reason):
    annotation_file.load_annotations(str(path))


def _jpeg(height, width, level):
  stream = io.BytesIO()
  pixels = np.full([height, width, 3], level, np.uint8)
  Image.fromarray(pixels).save(stream, 'JPEG')
  return stream.getvalue()


def _record(source_id, objects=(), height=40, width=80, level=0):
  """Serializes (ymin, xmin, ymax, xmax, label[, area, is_crowd]) objects."""
  features = {
    'image/encoded': [_jpeg(height, width, level)],
    'image/source_id': [str(source_id).encode()],
  }
  columns = list(zip(*objects))
  names = ['bbox/ymin', 'bbox/xmin', 'bbox/ymax', 'bbox/xmax']
  names += ['class/label', 'area', 'is_crowd']
  for name, column in zip(names, columns):
    features['image/object/' + name] = column
  return tf.train.Example(
    features=tf.train.Features(
      feature={key: _feature(value) for key, value in features.items()}
    )
  ).SerializeToString()


def _feature(values):
  if isinstance(values[0], bytes):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
  if isinstance(values[0], int):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _write_records(path, records):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records:
      writer.write(record)


def test_records_become_annotations(tmp_path):
  _write_records(
    tmp_path / 'a.tfrecord',
    [
      _record(
        '9007199254740993',  # beyond what floats can count to
        [(0.25, 0.1, 0.5, 0.6, 5, 77.5, 1), (0.0, 0.0, 1.0, 1.0, 2, 3200.0, 0)],
      ),
      _record(12, [(0.1, 0.2, 0.3, 0.4, 2)], height=100, width=50),
      _record(13),
    ],
  )
  content = record_annotations.read_annotations(str(tmp_path / '*.tfrecord'))
  assert content == {
    'images': [
      {'id': 9007199254740993, 'height': 40, 'width': 80},
      {'id': 12, 'height': 100, 'width': 50},
      {'id': 13, 'height': 40, 'width': 80},
    ],
    'categories': [{'id': 2}, {'id': 5}],
    'annotations': [
      {
        'id': 1,
        'image_id': 9007199254740993,
        'category_id': 5,
        'bbox': [8, 10, 40, 10],
        'area': 77.5,
        'iscrowd': 1,
      },
      {
        'id': 2,
        'image_id': 9007199254740993,
        'category_id': 2,
        'bbox': [0, 0, 80, 40],
        'area': 3200,
        'iscrowd': 0,
      },
      {
        'id': 3,
        'image_id': 12,
        'category_id': 2,
        'bbox': [10, 10, 10, 20],
        'area': 200,
        'iscrowd': 0,
      },
    ],
  }


def test_patterns_are_globs_and_comma_lists(tmp_path):
  for name, source_id in (('b', 1), ('a', 2), ('c', 3)):
    _write_records(tmp_path / (name + '.rec'), [_record(source_id)])
  pattern = f'{tmp_path}/c.rec, {tmp_path}/[ab].rec'
  content = record_annotations.read_annotations(pattern)
  assert [image['id'] for image in content['images']] == [3, 2, 1]


def test_eval_samples_limits_the_records_of_all_files_in_turn(tmp_path):
  _write_records(tmp_path / 'a.rec', [_record(1), _record(2)])
  _write_records(tmp_path / 'b.rec', [_record(3), _record(4)])
  content = record_annotations.read_annotations(str(tmp_path / '*.rec'), 3)
  assert [image['id'] for image in content['images']] == [1, 3, 2]
  with pytest.raises(errors.DataError, match='5 images are wanted.* 4'):
    record_annotations.read_annotations(str(tmp_path / '*.rec'), 5)


def test_regenerated_ids_are_hashes_of_the_images(tmp_path):
  # Ids of the same images that are stored empty, so that they are made too.
  _write_records(
    tmp_path / 'a.rec', [_record(''), _record('', level=90), _record(3)]
  )
  _write_records(tmp_path / 'b.rec', [_record(8), _record(8, level=90)])
  stored = record_annotations.read_annotations(str(tmp_path / 'a.rec'))
  made = record_annotations.read_annotations(
    str(tmp_path / 'b.rec'), regenerate_source_id=True
  )
  ids = [image['id'] for image in stored['images']]
  assert [image['id'] for image in made['images']] == ids[:2]
  assert ids[2] == 3
  with pytest.raises(errors.DataError, match='image id 8 occurs more than'):
    record_annotations.read_annotations(str(tmp_path / 'b.rec'))


@pytest.mark.parametrize('regenerate', [False, True])
def test_records_have_the_ids_and_the_order_of_the_input(tmp_path, regenerate):
  # More files than are open at a time, of different lengths.
  ids = iter(range(100, 300))
  for number in range(35):
    records = []
    for _ in range(1 + number % 3):
      source_id = next(ids)
      name = f'image_{source_id}' if source_id % 2 else source_id
      records.append(_record(name, level=source_id - 90))
    _write_records(tmp_path / f'{number:02d}.rec', records)
  pattern = str(tmp_path / '*.rec')
  content = record_annotations.read_annotations(pattern, 60, regenerate)

  params = factory.config_generator('retinanet')
  params.override(
    {
      'retinanet_parser': {
        'output_size': [128, 128],
        'regenerate_source_id': regenerate,
      }
    }
  )
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn(pattern, params, mode_keys.PREDICT_WITH_GT)(
      {'batch_size': 20}
    )
    batch = tf.data.make_one_shot_iterator(dataset).get_next()
    source_ids = batch['labels']['groundtruths']['source_id']
    read = np.concatenate([session.run(source_ids) for _ in range(3)])
  assert [image['id'] for image in content['images']] == read.tolist()


@pytest.mark.parametrize('pattern', ['absent*.rec', '', ' , '])
def test_a_pattern_without_files_is_named(tmp_path, pattern):
  pattern = pattern.replace('absent', str(tmp_path / 'absent'))
  with pytest.raises(errors.DataError, match='eval.eval_file_pattern'):
    record_annotations.read_annotations(pattern)


def test_files_without_records_are_named(tmp_path):
  _write_records(tmp_path / 'empty.rec', [])
  with pytest.raises(errors.DataError, match='empty.rec.* is empty'):
    record_annotations.read_annotations(str(tmp_path / 'empty.rec'))


def test_lists_of_different_lengths_are_refused(tmp_path):
  example = tf.train.Example.FromString(_record(31, [(0.1, 0.2, 0.3, 0.4, 2)]))
  example.features.feature['image/object/area'].float_list.value[:] = [1, 2]
  _write_records(tmp_path / 'a.rec', [example.SerializeToString()])
  with pytest.raises(tf.errors.InvalidArgumentError, match='31'):
    record_annotations.read_annotations(str(tmp_path / 'a.rec'))


def test_prepare_copies_a_checked_file(tmp_path):
  path = _write(tmp_path / 'val.json', _content())
  model_dir = tmp_path / 'model' / 'new'
  prepared = annotation_file.prepare(str(model_dir), path, 'unused')
  assert os.listdir(str(model_dir)) == ['eval_annotation_file.json']
  with open(prepared) as copy:
    assert json.load(copy)['images'] == _content()['images']
  _write(tmp_path / 'val.json', {'images': []})
  with pytest.raises(errors.DataError, match='val.json'):
    annotation_file.prepare(str(model_dir), path, 'unused')
  assert _image_ids(prepared) == [7]  # The copy is intact.


def test_prepare_reads_records_without_a_file(tmp_path):
  _write_records(tmp_path / 'a.rec', [_record(5, [(0.0, 0.0, 1.0, 1.0, 2)])])
  prepared = annotation_file.prepare(
    str(tmp_path / 'model'), '', str(tmp_path / 'a.rec')
  )
  assert _image_ids(prepared) == [5]
