"""COCO json becomes records, and nothing gets lost unsaid."""

import json
import os

import pytest

from tests.tools import annotated_images
from tools.record_sources import coco, voc
from tools.record_sources import report as report_lib
from utils import errors, label_map


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
  annotated_images.save_image(tmp_path / 'a.jpg')
  annotated_images.save_image(tmp_path / 'b.png')
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
  written = annotated_images.convert(annotated, report, coco_dir, num_shards=8)
  # Two images fill two shards: an empty one would pass for a broken one.
  assert [os.path.basename(path) for path in written.shard_files] == [
    'train-00000-of-00002.tfrecord',
    'train-00001-of-00002.tfrecord',
  ]
  first, second = annotated_images.examples(written.shard_files)
  assert annotated_images.values(first, 'image/source_id') == [b'7']
  assert annotated_images.values(first, 'image/object/class/label') == [18, 3]
  assert annotated_images.values(first, 'image/object/area') == [120.5, 100.0]
  assert annotated_images.values(second, 'image/object/is_crowd') == [1]
  # A hundredth of a pixel beyond the border is rounding, and is cut off.
  assert annotated_images.values(first, 'image/object/bbox/xmax')[1] == 1.0
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
  written = annotated_images.convert(annotated, report, coco_dir)
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
  written = annotated_images.convert(
    _read_coco(coco_dir, content, report), report, coco_dir
  )
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
    annotated_images.convert(annotated, report, coco_dir)
  assert str(caught.value) == (
    'None of the images can be used. Image file does not exist: 1, such as '
    'b.png: {}/b.png; 1 boxes. Image does not decode: 1, such as a.jpg: '
    'damaged image, or cut off; 2 boxes. --image_dir is where the names of '
    'image files start.'.format(coco_dir)
  )
  assert not (coco_dir / 'out').exists()


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
    annotated_images.convert(annotated, report, tmp_path, name).coco
    for annotated, name in ((from_json, 'json'), (from_xml, 'xml'))
  ]
  assert coco_dicts[0] == coco_dicts[1]
  assert len(coco_dicts[0]['images']) == 205
  assert len(coco_dicts[0]['annotations']) == 2804
  assert [
    (found['file'], found['detail'])
    for found in report.as_dict()['box_without_area']['findings']
  ] == [('BloodImage_00343.jpg', 'RBC [181, 329, 181, 329]')]
