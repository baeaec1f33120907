"""A data set broken in one way at a time, and what is found of it."""

import io
import json
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from dataloader import record_files
from evaluation.dataset import (
  data_check,
  dataset_page,
  pictures,
  record_scan,
  statistics,
)
from tests import (
  classification_set,
  golden_numbers,
  programs,
  record_factory,
)
from utils import errors

_GOOD = {'height': [40], 'width': [60]}


def _record(number, seed=None, image_format='PNG', **changes):
  """A record of one object in a picture of its own."""
  pixels = record_factory.pixels(seed=number if seed is None else seed)
  return record_factory.make_record(
    **{
      'source_id': str(number).encode(),
      'encoded': record_factory.encode(pixels, image_format),
      'classes': [1 + number % 2],
      **_GOOD,
      **changes,
    }
  )


def _without_image(number):
  example = tf.train.Example.FromString(_record(number))
  del example.features.feature['image/encoded']
  return example.SerializeToString()


def _params(model='retinanet', **blocks):
  parser = {'mask_rcnn': 'maskrcnn_parser'}.get(model, model + '_parser')
  changes = {
    'type': model,
    'architecture': {'num_classes': 3},
    parser: {'output_size': [128, 192]},
  }
  if model == 'retinanet':
    # Meets the boxes of 64 x 96 pixels that the records have.
    changes['anchor'] = {'anchor_size': 4.0}
  for block, values in blocks.items():
    changes.setdefault(block, {}).update(values)
  return golden_numbers.make_params(changes)


def _annotations(numbers, **changes):
  """COCO's format of `_record`."""
  return {
    'images': [{'id': i, 'height': 40, 'width': 60} for i in numbers],
    'categories': [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'b'}],
    'annotations': [
      {
        'id': i,
        'image_id': i,
        'category_id': 1 + i % 2,
        'bbox': [12, 4, 30, 20],
        'area': 600,
        'iscrowd': 0,
      }
      for i in numbers
    ],
    **changes,
  }


def _write(folder, train=(), test=(), model='retinanet', texts=None, **blocks):
  """Records of 2 good images and more in each set; returns the config."""
  make = _record
  if model == 'classification':
    make = lambda number: classification_set.record(number, number % 2)  # noqa: E731
  sets = {
    'train': [make(1), make(2), *train],
    'eval': [make(11), make(12), *test],
  }
  settings = {'train': {}, 'eval': {'type': 'box', 'use_json_file': True}}
  if model == 'classification':
    settings['eval'] = {}
  for name, records in sets.items():
    settings[name][f'{name}_file_pattern'] = record_factory.write_records(
      folder / f'{name}.tfrecord', records
    )
  for key, content in (texts or {}).items():
    path = folder / key
    path.write_text(
      content if isinstance(content, str) else json.dumps(content)
    )
    settings['eval'][key] = str(path)
  for block, values in blocks.items():
    settings.setdefault(block, {}).update(values)
  return _params(model, **settings)


def _check(params, decode_images=True, **kwargs):
  data = data_check.load(params, decode_images=decode_images, **kwargs)
  return data, data_check.check(data)


def _told(params, **kwargs):
  """(severity, set, title, count, example) of what is found."""
  return [
    (
      finding.severity,
      finding.part.name,
      finding.title,
      finding.count,
      finding.example,
    )
    for finding in _check(params, **kwargs)[1]
  ]


def test_nothing_is_found_in_a_good_set(tmp_path):
  params = _write(
    tmp_path,
    texts={
      'label_map_file': '1:a\n2:b\n',
      'val_json_file': _annotations([11, 12]),
    },
  )
  assert _told(params) == []


_NAN, _INF = float('nan'), float('inf')
# What is in the training set beside good records, and what is found: severity,
# the start of the title, count, words of the example.
_BROKEN_TRAINING = {
  'no tf.Example': ([b'\x07hm'], 'error', 'records that', 1, 'record 2: it is'),
  'no image': (
    [_without_image(3)],
    *('error', 'a feature missing', 1, 'image/encoded holds 0 values'),
  ),
  'wrong type': (
    [_record(3, object__bbox__xmin=[b'0.1'])],
    *('error', 'a feature missing', 1, 'xmin is a bytes_list, not a float_'),
  ),
  'uneven lists': (
    [_record(3, object__area=[1.0, 2.0])],
    *('error', 'a feature missing', 1, 'area holds 2 values for 1 labels'),
  ),
  'damaged image': (
    [_record(3, encoded=record_factory.encode(record_factory.pixels())[:900])],
    *('error', 'images that do not decode', 1, "record 2 (source id '3')"),
  ),
  'TIFF': (
    [_record(3, image_format='TIFF')],
    *('error', 'images that do not decode', 1, 'record 2'),
  ),
  'stated size': (
    [_record(3, height=[60], width=[40])],
    *(
      'error',
      'images whose size is not',
      1,
      '40 x 60 pixels are stated, 60 x',
    ),
  ),
  'class id': (
    [_record(3, classes=[3])],
    *('error', 'class ids outside', 1, 'class id 3 is outside of 1 to 2'),
  ),
  'background': (
    [_record(3, classes=[0])],
    *('error', 'class ids outside', 1, 'class id 0 is outside of 1 to 2'),
  ),
  'pixels': (
    [_record(3, boxes=[[4, 12, 24, 42]])],
    *('error', 'boxes in pixels', 1, 'ymin 4, xmin 12, ymax 24, xmax 42'),
  ),
  'outside': (
    [_record(3, boxes=[[0.1, 0.2, 1.1, 0.7]])],
    *('error', 'boxes outside', 1, 'ymax 1.1, xmax 0.7'),
  ),
  'inverted': (
    [_record(3, boxes=[[0.6, 0.2, 0.1, 0.7]])],
    *('error', 'inverted boxes', 1, 'ymin 0.6, xmin 0.2, ymax 0.1'),
  ),
  'NaN': (
    [_record(3, boxes=[[_NAN, 0.2, 0.6, 0.7]])],
    *('error', 'boxes that are not numbers', 1, 'ymin nan'),
  ),
  'infinite': (
    [_record(3, boxes=[[0.1, 0.2, _INF, 0.7]])],
    *('error', 'boxes that are not numbers', 1, 'ymax inf'),
  ),
  'sticks out': (
    [_record(3, boxes=[[0.1, 0.2, 1.0005, 0.7]])],
    *('warning', 'boxes that stick out', 1, 'ymax 1.0005'),
  ),
  'tiny': (
    [_record(3, boxes=[[0.1, 0.2, 0.11, 0.7]])],
    *('warning', 'boxes under 2 pixels', 1, '96 x 1.3 pixels'),
  ),
  'empty': (
    [_record(3, boxes=[], classes=[])],
    *('warning', 'images without objects', 1, "source id '3'"),
  ),
  'repeated id': (
    [_record(2, seed=3)],
    *('warning', 'ids that several images', 2, '2 images have this id'),
  ),
  'grey': (
    [
      _record(3, encoded=record_factory.encode(record_factory.pixels()[..., 0]))
    ],
    *('warning', 'grey or CMYK', 1, 'PNG L'),
  ),
}


@pytest.mark.parametrize('name', sorted(_BROKEN_TRAINING))
def test_broken_training_set(tmp_path, name):
  records, severity, title, count, example = _BROKEN_TRAINING[name]
  told = [
    each
    for each in _told(_write(tmp_path, train=records))
    # A set has tiny or hardly met boxes where that is what is broken.
    if not each[2].startswith('objects that no anchor')
  ]
  assert len(told) == 1, told
  assert told[0][:2] == (severity, 'training')
  assert told[0][2].startswith(title)
  assert told[0][3] == count
  assert example in told[0][4]


def test_cmyk_pictures(tmp_path):
  (told,) = _told(_write(tmp_path, train=[_record(3, encoded=_cmyk())]))
  assert told[0] == 'warning' and told[2].startswith('grey or CMYK')
  assert told[4].endswith('JPEG CMYK')


def _cmyk():
  content = io.BytesIO()
  image = Image.fromarray(record_factory.pixels(seed=3)).convert('CMYK')
  image.save(content, 'JPEG')
  return content.getvalue()


_BROKEN_EVALUATION = {
  'repeated id': (
    {'test': [_record(11, seed=3)], 'texts': {}},
    *('error', 'ids that several images', 2, '2 images have this id'),
  ),
  'text id': (
    {
      'test': [_record(13, source_id=b'cat.jpg')],
      'texts': {'val_json_file': _annotations([11, 12])},
    },
    *('error', 'ids that are no integers', 1, "source id 'cat.jpg'"),
  ),
  'unannotated': (
    {'texts': {'val_json_file': _annotations([11])}},
    *('error', 'ids of records that the', 1, "source id '12'"),
  ),
  'unrecorded': (
    {'texts': {'val_json_file': _annotations([11, 12, 13])}},
    *('error', 'ids of the annotation file', 1, 'id 13'),
  ),
  'in both sets': (
    {'test': [_record(13, seed=2)]},
    *('warning', 'pictures that the training', 1, "train.tfrecord', record 1"),
  ),
  'alike': (
    {'test': [_record(13, seed=2, image_format='JPEG')]},
    *('warning', 'pictures that look nearly', 1, "train.tfrecord', record 1"),
  ),
}


@pytest.mark.parametrize('name', sorted(_BROKEN_EVALUATION))
def test_broken_evaluation_set(tmp_path, name):
  changes, severity, title, count, example = _BROKEN_EVALUATION[name]
  told = _told(_write(tmp_path, **changes))
  assert len(told) == 1, told
  assert told[0][:2] == (severity, 'evaluation')
  assert told[0][2].startswith(title)
  assert told[0][3] == count
  assert example in told[0][4]


@pytest.mark.parametrize(
  'texts,expected',
  [
    ({'val_json_file': '{"images": ['}, 'is not JSON'),
    ({'label_map_file': 'a\n'}, 'not of the form'),
  ],
)
def test_what_cannot_be_read_is_an_error(tmp_path, texts, expected):
  with pytest.raises(errors.DataError, match=expected):
    data_check.load(_write(tmp_path, texts=texts))


def test_label_map_lacks_a_class(tmp_path):
  params = _write(tmp_path, texts={'label_map_file': '1:a\n'})
  told = _told(params)
  assert [each[:2] for each in told] == [
    ('error', 'training'),
    ('error', 'evaluation'),
  ]
  assert told[0][3] == 1 and 'class id 2 has no name' in told[0][4]


def test_classes_of_one_set_alone(tmp_path):
  params = _write(
    tmp_path,
    test=[_record(14, classes=[3])],
    architecture={'num_classes': 5},
    texts={'label_map_file': '1:a\n2:b\n3:c\n4:d\n'},
  )
  told = [
    each for each in _told(params) if each[2].startswith('classes without')
  ]
  assert [(each[1], *each[3:]) for each in told] == [
    ('training', 2, 'c, d'),
    ('evaluation', 1, 'd'),
  ]


def test_files_and_workers(tmp_path):
  params = _write(tmp_path)
  (told,) = _told(params, num_workers=2)
  assert told[1:4] == ('training', 'fewer files than workers', 1)


def test_a_missing_file_is_an_error(tmp_path):
  params = _write(tmp_path)
  params.override({'train': {'train_file_pattern': str(tmp_path / 'none-*')}})
  with pytest.raises(errors.DataError, match='none-'):
    data_check.load(params)
  params.override(
    {
      'train': {'train_file_pattern': ''},
      'eval': {'eval_file_pattern': ''},
    }
  )
  with pytest.raises(errors.ConfigError, match='names no data'):
    data_check.load(params)


def test_objects_that_no_anchor_meets(tmp_path):
  """One thin box among three, at a class and a size of its own."""
  thin = _record(4, boxes=[[0.1, 0.2, 0.9, 0.24]], classes=[2])
  params = _write(tmp_path, train=[_record(5), thin])
  (found,) = [
    finding
    for finding in _check(params)[1]
    if finding.title == 'objects that no anchor meets'
  ]
  assert found.count == 1 and found.of == 'of 4 objects (25.0 %)'
  assert found.example == '100% of small; 33% of 2'
  assert found.details['unmet_shares']['2'] == pytest.approx(1 / 3)
  assert 'anchor: {num_scales' in found.remedy
  assert found.images == [3] and found.objects == [3]


def test_a_classifier_has_classes_of_images(tmp_path):
  params = _write(
    tmp_path,
    train=[
      *(classification_set.record(3, 7), classification_set.record(5, -1)),
      _record(4),
    ],
    model='classification',
  )
  told = {each[2]: each for each in _told(params)}
  wrong = told['class ids outside of what the model has']
  assert wrong[:2] == ('error', 'training') and wrong[3] == 2
  assert 'class id 7 is outside of 0 to 2' in wrong[4]
  lacking = told['a feature missing, of the wrong type or with too few values']
  assert 'no image/class/label' in lacking[4] and lacking[3] == 1


def test_records_of_the_other_kind(tmp_path):
  path = record_factory.write_records(
    tmp_path / 'c.tfrecord', [classification_set.record(i, 1) for i in (1, 2)]
  )
  params = _write(tmp_path)
  params.override({'train': {'train_file_pattern': path}})
  errors_found = [each for each in _told(params) if each[0] == 'error']
  assert 'it holds a class for each image' in errors_found[0][4]


def test_masks(tmp_path):
  params = _write(
    tmp_path,
    model='mask_rcnn',
    eval={'type': 'box'},
  )
  masks = [each for each in _told(params) if each[2].startswith('masks')]
  assert [each[3] for each in masks] == [2, 2]
  assert 'holds 0 masks for 1 objects' in masks[0][4]


def _crowded(number, num_objects, num_crowds=0):
  return _record(
    number,
    boxes=[(0, 0, 1, 1)] * num_objects,
    classes=[1] * num_objects,
    object__is_crowd=[1] * num_crowds + [0] * (num_objects - num_crowds),
  )


def _excess(folder, name, model, most=3, **settings):
  """What is found of images of 1, 1, 2, 3, 5 and 6 objects, 3 in crowds."""
  crowded = [_crowded(i, *n) for i, n in enumerate([(2,), (3,), (5,), (6, 3)])]
  parser = {'mask_rcnn': 'maskrcnn_parser'}.get(model, model + '_parser')
  blocks = {
    parser: {'max_num_instances': most},
    'eval': {'type': 'box', 'use_json_file': False, **settings},
  }
  if model == 'mask_rcnn':
    blocks['architecture'] = {'include_mask': False}
  train, test = (crowded, []) if name == 'training' else ([], crowded)
  params = _write(folder, train, test, model, **blocks)
  return [
    finding
    for finding in _check(params, decode_images=False)[1]
    if finding.title.startswith('images with more objects')
  ]


def test_training_counts_what_it_learns(tmp_path):
  (finding,) = _excess(tmp_path, 'training', 'mask_rcnn')
  assert str(finding) == (
    'train.train_file_pattern: images with more objects than labels hold (1 of '
    f"6 images), such as TFRecord file '{tmp_path}/train.tfrecord', record 4 "
    "(source id '2'): 5 objects. maskrcnn_parser.max_num_instances: 3 cuts 2 "
    'objects; 5 would hold all.'
  )
  assert not _excess(tmp_path, 'training', 'mask_rcnn', most=5)
  # All of its objects get anchors.
  assert not _excess(tmp_path, 'training', 'retinanet')


@pytest.mark.parametrize('model', ['mask_rcnn', 'retinanet'])
def test_evaluation_counts_what_batches_cut(tmp_path, model):
  (finding,) = _excess(tmp_path, 'evaluation', model)
  assert finding.count == 2 and '6 would hold all' in finding.remedy
  # The one that loses most is shown first.
  assert finding.images == [5, 4]
  # The annotation file has all of them.
  assert not _excess(tmp_path, 'evaluation', model, use_json_file=True)


def test_first_records_stop_a_training_or_warn(tmp_path):
  wrong = [_record(3, classes=[9]), _record(4, boxes=[[5, 5, 9, 9]])]
  params = _write(tmp_path, train=wrong)
  with pytest.raises(errors.DataError) as caught:
    data_check.check_first_records(params, trains=True, evaluates=False)
  assert str(caught.value) == (
    'train.train_file_pattern: class ids outside of what the model has (1 of 4 '
    f"objects), such as TFRecord file '{tmp_path}/train.tfrecord', record 2 "
    "(source id '3'): class id 9 is outside of 1 to 2 (architecture."
    'num_classes is 3). architecture.num_classes is the largest id plus one; 0 '
    'is the background. And 1 more errors. tools/check_dataset.py shows all; '
    '--nocheck_data trains all the same.'
  )
  assert data_check.check_first_records(params, False, True) == []
  params = _write(tmp_path, train=[_record(3, boxes=[], classes=[])])
  (warning,) = data_check.check_first_records(params, True, True)
  assert warning.startswith('train.train_file_pattern: images without objects')


def test_statistics(tmp_path):
  params = _write(
    tmp_path,
    train=[_crowded(3, 3, 1)],
    texts={'label_map_file': '1:a\n2:b\n'},
  )
  data, findings = _check(params)
  summary = statistics.summary(data, findings)
  json.dumps(summary, allow_nan=False)
  training = summary['sets']['training']
  assert training['images'] == 3 and training['objects'] == 5
  assert training['crowds'] == 1 and training['files'] == 1
  assert training['formats'] == {'PNG RGB': 3}
  assert training['image_heights']['50'] == 40.0
  assert training['objects_of_an_image']['100'] == 3.0
  assert summary['classes'] == [
    {'id': 1, 'name': 'a', 'training': 4, 'evaluation': 1},
    {'id': 2, 'name': 'b', 'training': 1, 'evaluation': 1},
  ]


def test_page_shows_what_was_found_once(tmp_path):
  """The wrong object is marked, and a picture that does not decode left out."""
  wrong = [
    _record(
      3,
      classes=[9, 1],
      boxes=[[0.1, 0.2, 0.6, 0.7]] * 2,
      filename=[b'a.png'],
    ),
    _record(4, encoded=b'GIF89a<script>'),
  ]
  params = _write(
    tmp_path,
    train=wrong,
    test=[_record(13, seed=2)],
    texts={'label_map_file': '1:<b>cell</b>\n2:b\n'},
  )
  data, findings = _check(params)
  path = tmp_path / 'page.html'
  summary = statistics.summary(data, findings)
  dataset_page.write(str(path), 'my.yaml', findings, summary)
  text = path.read_text()
  assert '<h2>Error: class ids outside of what the model has</h2>' in text
  assert '<h2>Warning: pictures that the training set holds, too</h2>' in text
  items = [
    item
    for part in re.findall(
      r'<script type="application/json">(.*?)</script>', text
    )
    for item in json.loads(part)
  ]
  assert [item['caption'] for item in items] == [
    *['a.png, 3 (training)'] * 2,
    *['13 (evaluation)', '2 (training)'],
  ]
  names = {entry['title']: entry['file_names'] for entry in summary['findings']}
  assert names['class ids outside of what the model has'] == ['a.png']
  assert "(source id '3'), 'a.png': class id 9" in text.replace('&#39;', "'")
  assert [box[2] for box in items[0]['sides'][0][1]] == ['bad', 'truth']
  np.testing.assert_allclose(items[0]['sides'][0][1][0][0], [12, 4, 30, 20])
  # Each image once, though it is shown twice.
  assert text.count('data-width="60"') == 3
  assert '<b>cell' not in text and 'GIF89a' not in text


def test_program(tmp_path):
  _write(tmp_path, train=[_record(3, classes=[9])])
  config = tmp_path / 'my.yaml'
  config.write_text(
    """
architecture: {num_classes: 3}
anchor: {anchor_size: 4.0}
retinanet_parser: {output_size: [128, 192]}
train: {train_file_pattern: train.tfrecord}
eval: {eval_file_pattern: eval.tfrecord}
"""
  )

  def run(*more):
    return programs.run(
      'tools/check_dataset.py', config, f'--data_dir={tmp_path}', *more
    )

  process = run(f'--output_dir={tmp_path}')
  assert process.returncode == 1, process.stderr
  assert ' train.tfrecord, ' in process.stdout
  assert (
    '3 images of training, 2 images of evaluation: 1 finding, 1 error. Wrote '
  ) in process.stdout
  assert 'Traceback' not in process.stderr
  (finding,) = json.loads((tmp_path / 'dataset.json').read_text())['findings']
  assert finding['source_ids'] == ['3'] and finding['count'] == 1
  assert (tmp_path / 'dataset.html').exists()
  process = run(
    f'--output_dir={tmp_path}', '--params_override=architecture.num_classes=10'
  )
  assert process.returncode == 0, process.stderr


def test_scan_gives_arrays(tmp_path):
  files = [
    record_factory.write_records(tmp_path / 'a', [_record(1), b'\x07hm']),
    record_factory.write_records(
      tmp_path / 'b',
      [_crowded(5, 2, 1), _record(6, height=[7], filename=[b'b.png'])],
    ),
  ]
  contents = record_scan.scan(record_files.find_files(','.join(files)))
  assert contents.num_images == 3 and contents.num_records == 4
  assert contents.is_whole
  assert contents.file_indices.tolist() == [0, 1, 1]
  assert contents.record_indices.tolist() == [0, 0, 1]
  assert contents.source_ids == ['1', '5', '6']
  assert contents.file_names == ['', '', 'b.png']
  assert contents.sizes.tolist() == [[40, 60]] * 3
  assert contents.stated_sizes.tolist() == [[40, 60], [40, 60], [7, 60]]
  assert contents.classes.tolist() == [2, 1, 1, 1]
  assert contents.is_crowd.tolist() == [False, True, False, False]
  assert contents.image_indices.tolist() == [0, 1, 1, 2]
  assert contents.counts.tolist() == [1, 2, 1]
  np.testing.assert_allclose(contents.boxes[0], [0.1, 0.2, 0.6, 0.7])
  assert len(set(contents.hashes.tolist())) == 3
  assert contents.problems[0].record_index == 1
  sample = record_scan.scan(files, most=2)
  assert sample.num_images == 2 and not sample.is_whole


def test_near_pairs_are_those_of_all_pairs():
  rng = np.random.RandomState(0)
  others = rng.randint(0, 2**63, 400).astype(np.uint64)
  hashes = others[:40].copy()
  for i, value in enumerate(hashes):
    for bit in rng.choice(64, i % 6, replace=False):
      value ^= np.uint64(1) << np.uint64(bit)
    hashes[i] = value
  pairs = pictures.near_pairs(hashes, others)
  assert pairs == {i: i for i in range(40) if i % 6 <= 3}
  assert pictures.near_pairs(hashes, others[:0]) == {}


def test_each_check_has_a_remedy():
  titles = [each.title for each in data_check.CHECKS]
  assert len(set(titles)) == len(titles)
  for each in data_check.CHECKS:
    assert each.remedy.endswith(('.', '?')) and each.severity in (
      'error',
      'warning',
    )
