"""COCO json and Pascal VOC xml become records, and nothing gets lost unsaid."""

import io
import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from tests import programs
from tools.record_sources import coco, conversion, shards, voc
from tools.record_sources import report as report_lib
from utils import errors, label_map


def _save_image(path, width=40, height=30, **options):
  pixels = np.arange(width * height * 3).reshape([height, width, 3]) % 251
  Image.fromarray(pixels.astype(np.uint8)).save(str(path), **options)


def _object(name, xmin, ymin, xmax, ymax, difficult=0):
  return (
    '<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin>'
    '<ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>'
  ).format(name, difficult, xmin, ymin, xmax, ymax)


def _write_xml(folder, stem, objects='', filename=None, size=(40, 30)):
  (folder / (stem + '.xml')).write_text(
    '<annotation><filename>{}</filename><size><width>{}</width><height>{}'
    '</height><depth>3</depth></size>{}</annotation>'.format(
      filename or stem + '.jpg', size[0], size[1], objects
    )
  )


@pytest.fixture
def voc_dirs(tmp_path):
  """Two good images, with one box each of `cat` and `dog`."""
  xml_dir, image_dir = tmp_path / 'xml', tmp_path / 'images'
  xml_dir.mkdir()
  image_dir.mkdir()
  _save_image(image_dir / 'pet_03.jpg')
  _save_image(image_dir / 'pet_11.jpg')
  _write_xml(xml_dir, 'pet_03', _object('dog', 4, 3, 20, 18))
  _write_xml(xml_dir, 'pet_11', _object('cat', 0, 0, 40, 30))
  return xml_dir, image_dir


def _read_voc(voc_dirs, report=None, **options):
  report = report or report_lib.Report()
  return voc.read_voc(str(voc_dirs[0]), str(voc_dirs[1]), report, **options)


def _convert(
  annotated, report, tmp_path, name='train', num_shards=1, **options
):
  return conversion.convert(
    annotated, report, str(tmp_path / 'out'), name, num_shards, **options
  )


def _examples(files):
  return [
    tf.train.Example.FromString(record)
    for path in files
    for record in tf.io.tf_record_iterator(path)
  ]


def _values(example, key):
  feature = example.features.feature[key]
  return list(getattr(feature, feature.WhichOneof('kind')).value)


def test_record_has_the_schema_of_the_decoder(voc_dirs, tmp_path):
  report = report_lib.Report()
  written = _convert(_read_voc(voc_dirs, report), report, tmp_path)
  example, _ = _examples(written.shard_files)
  assert _values(example, 'image/encoded') == [
    (voc_dirs[1] / 'pet_03.jpg').read_bytes()
  ]
  assert _values(example, 'image/source_id') == [b'3']
  assert _values(example, 'image/filename') == [b'pet_03.jpg']
  assert _values(example, 'image/height') == [30]
  assert _values(example, 'image/width') == [40]
  box = [
    _values(example, 'image/object/bbox/' + edge)[0]
    for edge in ('ymin', 'xmin', 'ymax', 'xmax')
  ]
  np.testing.assert_allclose(box, [0.1, 0.1, 0.6, 0.5], rtol=1e-6)
  assert _values(example, 'image/object/class/label') == [2]
  assert _values(example, 'image/object/area') == [16 * 15]
  assert _values(example, 'image/object/is_crowd') == [0]


def test_coco_json_label_map_and_report_stand_beside_the_shards(
  voc_dirs, tmp_path
):
  report = report_lib.Report()
  _convert(_read_voc(voc_dirs, report), report, tmp_path)
  out = tmp_path / 'out'
  assert sorted(path.name for path in out.iterdir()) == [
    'label_map.txt',
    'train-00000-of-00001.tfrecord',
    'train.json',
    'train_report.json',
  ]
  assert (out / 'label_map.txt').read_text().splitlines() == ['1:cat', '2:dog']
  content = json.loads((out / 'train.json').read_text())
  assert content['categories'] == [
    {'id': 1, 'name': 'cat'},
    {'id': 2, 'name': 'dog'},
  ]
  assert content['images'] == [
    {'id': 3, 'file_name': 'pet_03.jpg', 'width': 40, 'height': 30},
    {'id': 11, 'file_name': 'pet_11.jpg', 'width': 40, 'height': 30},
  ]
  assert content['annotations'][0] == {
    'id': 1,
    'image_id': 3,
    'category_id': 2,
    'bbox': [4.0, 3.0, 16.0, 15.0],
    'area': 240.0,
    'iscrowd': 0,
  }
  summary = json.loads((out / 'train_report.json').read_text())
  assert summary['boxes_by_class'] == {'cat': 1, 'dog': 1}
  assert summary['findings'] == {}


def test_coordinates_of_the_challenge_start_at_one(voc_dirs):
  box = _read_voc(voc_dirs, one_based=True).images[0].boxes[0]
  assert (box.xmin, box.ymin, box.xmax, box.ymax) == (3, 2, 20, 18)


def test_every_defect_of_voc_is_reported(voc_dirs, tmp_path):
  xml_dir, image_dir = voc_dirs
  _write_xml(
    xml_dir,
    'pet_20',
    _object('cat', 5, 5, 5, 9)
    + _object('cat', 9, 5, 5, 9)
    + _object('unicorn', 1, 1, 9, 9)
    + _object('cat', 'left', 1, 9, 9)
    + _object('cat', 'nan', 1, 9, 9)
    + _object('cat', 30, 20, 50, 25)
    + _object('cat', 100, 20, 120, 25)
    + _object('dog', 2, 2, 9, 9, difficult=1),
    filename='other.jpg',
  )
  _save_image(image_dir / 'pet_20.png')
  _write_xml(xml_dir, 'pet_21', _object('cat', 1, 1, 9, 9))
  _write_xml(xml_dir, 'pet_22', _object('cat', 1, 1, 9, 9))
  whole = (image_dir / 'pet_03.jpg').read_bytes()
  (image_dir / 'pet_22.jpg').write_bytes(whole[: len(whole) // 2])
  (xml_dir / 'pet_23.xml').write_text('<annotation><object>')
  _save_image(image_dir / 'pet_23.jpg')
  _write_xml(xml_dir, 'pet_24')
  _save_image(image_dir / 'pet_24.bmp')
  _write_xml(xml_dir, 'pet_25', _object('cat', 1, 1, 9, 9), size=(30, 40))
  _save_image(image_dir / 'pet_25.jpg')
  split = tmp_path / 'split.txt'
  split.write_text(
    'pet_20\npet_21\npet_22 1\npet_23\n\npet_24\npet_24\npet_25\nnone\n'
  )

  report = report_lib.Report()
  annotated = _read_voc(
    voc_dirs,
    report,
    split_file=str(split),
    label_map={1: 'cat', 2: 'dog'},
  )
  written = _convert(annotated, report, tmp_path)
  findings = {
    kind: (entry['count'], {found['file'] for found in entry['findings']})
    for kind, entry in report.as_dict().items()
  }
  assert findings == {
    'box_without_area': (2, {'pet_20.png'}),
    'unknown_class': (1, {'pet_20.png'}),
    'malformed_box': (2, {'pet_20.png'}),
    'box_clipped': (1, {'pet_20.png'}),
    'box_outside_image': (1, {'pet_20.png'}),
    'difficult': (1, {'pet_20.png'}),
    'found_by_stem': (2, {'pet_20.png', 'pet_24.bmp'}),
    'size_contradicts': (1, {'pet_25.jpg'}),
    'missing_image': (1, {'pet_21.jpg'}),
    'unreadable_image': (1, {'pet_22.jpg'}),
    'unreadable_annotation': (1, {'pet_23.xml'}),
    'duplicate_image': (1, {'pet_24'}),
    'missing_annotation': (1, {'none.xml'}),
    're_encoded': (1, {'pet_24.bmp'}),
  }
  assert report.num_problems == 13
  assert [entry['id'] for entry in written.coco['images']] == [20, 24]
  assert [
    (entry['bbox'], entry['area'], entry['iscrowd'])
    for entry in written.coco['annotations']
  ] == [([30, 20, 10, 5], 50, 0), ([2, 2, 7, 7], 49, 1)]

  image_without_boxes = _examples(written.shard_files)[1]
  assert _values(image_without_boxes, 'image/format') == [b'png']
  png = _values(image_without_boxes, 'image/encoded')[0]
  np.testing.assert_array_equal(
    np.asarray(Image.open(io.BytesIO(png))),
    np.asarray(Image.open(str(image_dir / 'pet_24.bmp'))),
  )


def test_images_without_xml_are_mentioned(voc_dirs):
  _save_image(voc_dirs[1] / 'stray.png')
  report = report_lib.Report()
  _read_voc(voc_dirs, report)
  assert report.count('image_without_annotation') == 1
  assert report.num_problems == 0


@pytest.mark.parametrize(
  'stems, expected',
  [
    (['BloodImage_00000', 'BloodImage_00012'], [0, 12]),
    (['2007_000032', '2008_000032'], [2007000032, 2008000032]),
    (['a', 'b_7'], [1, 2]),
    (['1_23', '12_3', '2_3'], [1, 2, 3]),
  ],
)
def test_image_ids_come_from_the_names_if_these_tell_them_apart(
  stems, expected
):
  assert [voc.image_ids(stems)[stem] for stem in stems] == expected


def _coco_content():
  return {
    'images': [
      {'id': 7, 'file_name': 'a.jpg', 'width': 40, 'height': 30},
      {'id': 9, 'file_name': 'b.png', 'width': 40, 'height': 30},
    ],
    'annotations': [
      {
        'id': 1,
        'image_id': 7,
        'category_id': 18,
        'bbox': [1.5, 2.0, 10.0, 20.0],
        'area': 120.5,
        'iscrowd': 0,
      },
      {'id': 2, 'image_id': 7, 'category_id': 3, 'bbox': [30, 20, 10.01, 10]},
      {
        'id': 3,
        'image_id': 9,
        'category_id': 3,
        'bbox': [0, 0, 5, 5],
        'iscrowd': 1,
      },
    ],
    'categories': [{'id': 18, 'name': 'dog'}, {'id': 3, 'name': 'car'}],
  }


@pytest.fixture
def coco_dir(tmp_path):
  _save_image(tmp_path / 'a.jpg')
  _save_image(tmp_path / 'b.png')
  return tmp_path


def _read_coco(folder, content, report=None, names=None):
  (folder / 'in.json').write_text(json.dumps(content))
  return coco.read_coco(
    str(folder / 'in.json'),
    str(folder),
    report or report_lib.Report(),
    names,
  )


def test_coco_ids_areas_and_crowds_are_kept(coco_dir):
  report = report_lib.Report()
  annotated = _read_coco(coco_dir, _coco_content(), report)
  written = _convert(annotated, report, coco_dir, num_shards=8)
  # Two images fill two shards: an empty one would pass for a broken one.
  assert [os.path.basename(path) for path in written.shard_files] == [
    'train-00000-of-00002.tfrecord',
    'train-00001-of-00002.tfrecord',
  ]
  first, second = _examples(written.shard_files)
  assert _values(first, 'image/source_id') == [b'7']
  assert _values(first, 'image/object/class/label') == [18, 3]
  assert _values(first, 'image/object/area') == [120.5, 100.0]
  assert _values(second, 'image/object/is_crowd') == [1]
  # A hundredth of a pixel beyond the border is rounding, and is cut off.
  assert _values(first, 'image/object/bbox/xmax')[1] == 1.0
  assert report.as_dict() == {}
  assert label_map.read_label_map(str(coco_dir / 'out' / 'label_map.txt')) == {
    3: 'car',
    18: 'dog',
  }


def test_a_label_map_gives_coco_classes_new_ids(coco_dir):
  report = report_lib.Report()
  content = _coco_content()
  content['categories'][0]['id'] = 0
  content['annotations'][0]['category_id'] = 0
  annotated = _read_coco(coco_dir, content, report, {1: 'dog'})
  written = _convert(annotated, report, coco_dir)
  assert [a['category_id'] for a in written.coco['annotations']] == [1]
  assert report.count('unknown_class') == 2


def test_every_defect_of_coco_is_reported(coco_dir):
  content = _coco_content()
  content['images'].append(dict(content['images'][0]))
  content['images'].append({'id': 10, 'file_name': 'gone.jpg'})
  content['annotations'] += [
    {'id': 4, 'image_id': 7, 'category_id': 5, 'bbox': [0, 0, 5, 5]},
    {'id': 5, 'image_id': 8, 'category_id': 3, 'bbox': [0, 0, 5, 5]},
    {'id': 6, 'image_id': 7, 'category_id': 3, 'bbox': [0, 0, 5]},
    {'id': 7, 'image_id': 7, 'category_id': 3},
    {'id': 8, 'image_id': 7, 'category_id': 3, 'bbox': [1, 1, 0, 9]},
  ]
  report = report_lib.Report()
  written = _convert(_read_coco(coco_dir, content, report), report, coco_dir)
  assert {kind: report.count(kind) for kind in report.as_dict()} == {
    'duplicate_image': 1,
    'missing_image': 1,
    'unknown_class': 1,
    'unknown_image_id': 1,
    'malformed_box': 2,
    'box_without_area': 1,
  }
  assert len(written.coco['annotations']) == 3


@pytest.mark.parametrize(
  'change, message',
  [
    (lambda c: c.pop('categories'), "'categories'"),
    (lambda c: c['images'].append(3), "'images'"),
    (lambda c: c['categories'][0].update(name=' car'), 'more than once'),
    (lambda c: c['categories'][0].update(id='3'), 'more than once'),
    (lambda c: c['categories'][0].pop('name'), 'name'),
    (lambda c: c['images'][0].update(id='seven'), "'seven'"),
    (lambda c: c['images'][0].pop('file_name'), 'file_name'),
  ],
)
def test_a_file_that_is_not_coco_is_refused(coco_dir, change, message):
  content = _coco_content()
  change(content)
  with pytest.raises(errors.DataError, match=message) as caught:
    _read_coco(coco_dir, content)
  assert 'in.json' in str(caught.value)


def test_malformed_json_is_named(tmp_path):
  (tmp_path / 'in.json').write_text('{"images": [')
  with pytest.raises(errors.DataError, match='in.json'):
    coco.read_coco(str(tmp_path / 'in.json'), '', report_lib.Report())


def test_without_a_usable_image_nothing_is_written(coco_dir):
  image = (coco_dir / 'a.jpg').read_bytes()
  (coco_dir / 'a.jpg').write_bytes(image[:-40])
  (coco_dir / 'b.png').unlink()
  report = report_lib.Report()
  annotated = _read_coco(coco_dir, _coco_content(), report)
  with pytest.raises(errors.DataError) as caught:
    _convert(annotated, report, coco_dir)
  assert str(caught.value) == (
    'None of the images can be used. Image file does not exist: 1, such as '
    'b.png: {}/b.png; 1 boxes. Image does not decode: 1, such as a.jpg: '
    'damaged image, or cut off; 2 boxes. --image_dir is where the names of '
    'image files start.'.format(coco_dir)
  )
  assert list((coco_dir / 'out').iterdir()) == []


def test_a_failure_leaves_no_shard_behind(tmp_path):
  with pytest.raises(RuntimeError), shards.ShardedWriter(
    str(tmp_path / 'train'), 2
  ) as writer:
    for _ in range(3):
      writer.write(b'record')
    raise RuntimeError
  assert list(tmp_path.iterdir()) == []


def test_an_earlier_run_is_only_replaced_when_told(voc_dirs, tmp_path):
  report = report_lib.Report()
  annotated = _read_voc(voc_dirs, report)
  _convert(annotated, report, tmp_path, num_shards=2)
  with pytest.raises(errors.DataError, match='2 shards'):
    _convert(annotated, report, tmp_path, num_shards=1)
  _convert(annotated, report, tmp_path, num_shards=1, overwrite=True)
  names = sorted(path.name for path in (tmp_path / 'out').glob('*.tfrecord'))
  assert names == ['train-00000-of-00001.tfrecord']


def test_splits_must_agree_on_the_classes(voc_dirs, tmp_path):
  report = report_lib.Report()
  annotated = _read_voc(voc_dirs, report)
  _convert(annotated, report, tmp_path, 'train')
  others = annotated._replace(label_map={1: 'dog', 2: 'cat'})
  for overwrite in (False, True):
    with pytest.raises(errors.DataError) as caught:
      _convert(others, report, tmp_path, 'val', overwrite=overwrite)
    assert '1:cat, 2:dog, this split has 1:dog, 2:cat' in str(caught.value)
    assert '--overwrite' not in str(caught.value)
  # Without other splits, nothing else refers to the old classes.
  _convert(others, report, tmp_path, 'train', overwrite=True)
  with pytest.raises(errors.DataError, match='ids start at 1'):
    _convert(annotated._replace(label_map={0: 'cat'}), report, tmp_path, 'new')


def _run_program(*args):
  return programs.run('tools/create_tf_record.py', *args)


def test_strict_turns_problems_into_exit_code_1(voc_dirs, tmp_path):
  (voc_dirs[1] / 'pet_03.jpg').unlink()
  args = [
    '--voc_annotation_dir={}'.format(voc_dirs[0]),
    '--image_dir={}'.format(voc_dirs[1]),
    '--output_dir={}'.format(tmp_path / 'out'),
    '--name=train',
  ]
  lenient = _run_program(*args)
  assert lenient.returncode == 0, lenient.stderr
  assert 'pet_03.jpg' in lenient.stdout
  assert '1 images with 1 boxes' in lenient.stdout
  assert "out/train-*.tfrecord' --num_classes=3" in lenient.stdout
  assert _run_program(*args, '--overwrite', '--strict').returncode == 1

  refused = _run_program(*args)
  assert refused.returncode == 1
  assert '--overwrite' in refused.stderr
  assert 'Traceback' not in refused.stderr


def test_bccd_gives_the_same_boxes_from_xml_and_from_json(tmp_path):
  bccd = os.path.join(
    os.environ.get('DETECTION_TEST_DATA', '../shared/data'), 'bccd'
  )
  if not os.path.isdir(bccd):
    pytest.skip('no BCCD data set at {}'.format(bccd))
  names = {1: 'RBC', 2: 'WBC', 3: 'Platelets'}
  image_dir = os.path.join(bccd, 'JPEGImages')
  from_json = coco.read_coco(
    os.path.join(bccd, 'instances_train.json'), image_dir, report_lib.Report()
  )
  report = report_lib.Report()
  from_xml = voc.read_voc(
    os.path.join(bccd, 'Annotations'),
    image_dir,
    report,
    split_file=os.path.join(bccd, 'ImageSets', 'Main', 'train.txt'),
    label_map=names,
  )
  assert from_json.label_map == names
  coco_dicts = [
    _convert(annotated, report, tmp_path, name).coco
    for annotated, name in ((from_json, 'json'), (from_xml, 'xml'))
  ]
  assert coco_dicts[0] == coco_dicts[1]
  assert len(coco_dicts[0]['images']) == 205
  assert len(coco_dicts[0]['annotations']) == 2804
  assert [
    (found['file'], found['detail'])
    for found in report.as_dict()['box_without_area']['findings']
  ] == [('BloodImage_00343.jpg', 'RBC [181, 329, 181, 329]')]
