"""Records become COCO json and images again, which give the same records."""

import glob
import json
from unittest import mock

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image
from pycocotools import mask as mask_lib

from tests import programs, record_factory
from tests.tools import annotated_images
from tools import records_to_coco
from tools.record_sources import coco, conversion, detection_records, report
from utils import errors, mask_utils

_BOXES = [[3.5, 2.25, 10.1, 20.0], [0.0, 0.0, 40.0, 30.0], [7.3, 9.9, 1.7, 2.6]]


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  """COCO json and images: names that clash, masks, a crowd, no object."""
  folder = tmp_path_factory.mktemp('source')
  for part in ('x', 'y'):
    (folder / part).mkdir()
  annotated_images.save_image(folder / 'x' / 'a.jpg')
  annotated_images.save_image(folder / 'y' / 'A.jpg')
  annotated_images.save_image(folder / 'Käfer: 1.tif')
  mask = np.zeros([30, 40], np.uint8)
  mask[5:20, 4:13] = 1
  content = {
    'images': [
      {'id': 7, 'file_name': 'x/a.jpg', 'width': 40, 'height': 30},
      {'id': 2**40, 'file_name': 'y/A.jpg', 'width': 40, 'height': 30},
      {'id': 9, 'file_name': 'Käfer: 1.tif', 'width': 40, 'height': 30},
    ],
    'annotations': [
      {
        'id': number,
        'image_id': image_id,
        'category_id': category_id,
        'bbox': box,
        'area': area,
        'iscrowd': is_crowd,
        'segmentation': mask_utils.encode_as_text(mask),
      }
      for number, (image_id, category_id, box, area, is_crowd) in enumerate(
        [
          (7, 18, _BOXES[0], 120.5, 0),
          (7, 3, _BOXES[1], 90.0, 1),
          (2**40, 3, _BOXES[2], 4.25, 0),
        ],
        start=1,
      )
    ],
    'categories': [{'id': 3, 'name': 'car'}, {'id': 18, 'name': 'dog'}],
  }
  (folder / 'in.json').write_text(json.dumps(content))
  return folder


def _convert(json_file, image_dir, output_dir):
  """Returns the pattern of records with masks."""
  findings = report.Report()
  conversion.convert(
    {'a': coco.read_coco(str(json_file), str(image_dir), findings)},
    findings,
    str(output_dir),
    num_shards=2,
    kind=detection_records.DetectionRecords(include_masks=True),
  )
  return f'{output_dir}/a-*.tfrecord'


@pytest.fixture(scope='module')
def back(source, tmp_path_factory):
  """Folder of what the records of `source` give, and their pattern."""
  output = tmp_path_factory.mktemp('back')
  pattern = _convert(source / 'in.json', source, output / 'records')
  process = programs.run(
    'tools/records_to_coco.py',
    f'--file_pattern={pattern}',
    f'--label_map={output}/records/label_map.txt',
    f'--output_dir={output}/new/coco',
  )
  assert process.returncode == 0, process.stderr
  assert '3 images with 3 boxes of 2 classes' in process.stdout
  return output / 'new' / 'coco', pattern


def test_what_records_hold_is_what_was_annotated(source, back):
  folder, _ = back
  content = json.loads((folder / 'instances.json').read_text())
  names = {image['id']: image['file_name'] for image in content['images']}
  # Of two names that differ in case alone, some systems take one only.
  assert names == {7: 'a.jpg', 2**40: f'A_{2**40}.jpg', 9: 'Käfer_ 1.png'}
  original = json.loads((source / 'in.json').read_text())
  assert content['categories'] == original['categories']
  by_image = {
    (a['image_id'], a['category_id']): a for a in content['annotations']
  }
  for expected in original['annotations']:
    found = by_image[expected['image_id'], expected['category_id']]
    assert found['bbox'] == pytest.approx(expected['bbox'], abs=1e-5)
    for key in ('area', 'iscrowd'):
      assert found[key] == expected[key]
    mask = mask_lib.decode(found['segmentation'])
    assert mask.sum() == 15 * 9 and mask[5:20, 4:13].all()
  images = folder / 'images'
  assert sorted(path.name for path in images.iterdir()) == sorted(
    names.values()
  )
  assert (images / 'a.jpg').read_bytes() == (
    source / 'x' / 'a.jpg'
  ).read_bytes()
  assert Image.open(images / 'Käfer_ 1.png').size == (40, 30)


def test_converted_again_they_give_the_same_boxes(back, tmp_path):
  folder, pattern = back
  again = _convert(folder / 'instances.json', folder / 'images', tmp_path)
  first, second = (
    {
      annotated_images.values(example, 'image/source_id')[0]: example
      for example in annotated_images.examples(sorted(glob.glob(files)))
    }
    for files in (pattern, again)
  )
  assert list(first) == list(second) and len(first) == 3
  for source_id, example in first.items():
    for key in example.features.feature:
      if key != 'image/filename':
        assert annotated_images.values(
          second[source_id], key
        ) == annotated_images.values(example, key), key


def test_classes_without_a_label_map_are_called_by_id(back, tmp_path):
  _, pattern = back
  output = tmp_path / 'out'
  records_to_coco.convert(pattern, str(output))
  content = json.loads((output / 'instances.json').read_text())
  assert content['categories'] == [
    {'id': 3, 'name': '3'},
    {'id': 18, 'name': '18'},
  ]
  with pytest.raises(errors.ConfigError, match='does not exist'):
    records_to_coco.convert(pattern, str(output))
  (tmp_path / 'names.txt').write_text('3:car')
  with pytest.raises(errors.DataError, match='has no class 18'):
    records_to_coco.convert(
      pattern, str(tmp_path / 'other'), str(tmp_path / 'names.txt')
    )
  assert {path.name for path in tmp_path.iterdir()} == {'names.txt', 'out'}


def test_first_record_may_lack_masks_and_names(tmp_path):
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord',
    [
      record_factory.make_record(b'1', boxes=(), classes=()),
      record_factory.with_mask(2),
    ],
  )
  content = records_to_coco.convert(path, str(tmp_path / 'out'))
  names = [image['file_name'] for image in content['images']]
  assert names == ['1.png', '2.png']
  (annotation,) = content['annotations']
  assert mask_lib.area(annotation['segmentation']) == 20 * 30


def test_records_of_a_classifier_are_refused(tmp_path):
  example = tf.train.Example.FromString(record_factory.make_record())
  feature = example.features.feature
  feature['image/class/label'].int64_list.value.append(1)
  for key in [key for key in feature if key.startswith('image/object/')]:
    del feature[key]
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord', [example.SerializeToString()]
  )
  with pytest.raises(errors.DataError, match='and no boxes'):
    records_to_coco.convert(path, str(tmp_path / 'out'))


def test_bad_record_is_named_and_nothing_is_left(tmp_path):
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord',
    [
      record_factory.make_record(b'1'),
      record_factory.make_record(b'2', encoded=b'\xff\xd8\xffbroken'),
    ],
  )
  with pytest.raises(errors.DataError, match=r"record 1 \(source id '2'\)"):
    records_to_coco.convert(path, str(tmp_path / 'out'))
  assert [path.name for path in tmp_path.iterdir()] == ['a.tfrecord']


def test_failure_while_writing_leaves_nothing(back, tmp_path):
  # What a run left that was killed goes, too.
  (tmp_path / '.out.tmp' / 'images').mkdir(parents=True)
  failing = mock.patch.object(json, 'dump', side_effect=OSError)
  with failing, pytest.raises(OSError):
    records_to_coco.convert(back[1], str(tmp_path / 'out'))
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  'stated, expected',
  [
    ('a.jpg', 'a.jpg'),
    ('C:\\photos\\a b.JPG', 'a b.JPG'),
    ('a.png', 'a.jpg'),
    ('../../etc/passwd', 'passwd.jpg'),
    ('.hidden.jpg', 'hidden.jpg'),
    ('a?<b>|\n.jpg', 'a__b___.jpg'),
    ('', '5.jpg'),
    ('...', '5.jpg'),
    ('x' * 300, 'x' * 60 + '.jpg'),
    ('taken.jpg', 'taken_5.jpg'),
  ],
)
def test_names_are_safe(stated, expected):
  taken = {'taken.jpg'}
  assert records_to_coco.safe_name(stated, 5, 'JPEG', taken) == expected
  assert taken == {'taken.jpg', expected.lower()}
