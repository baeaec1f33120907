"""Masks get into records as annotated, and nothing gets lost unsaid."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_lib

from tests.tools import annotated_images
from tools.record_sources import coco, detection_records, instance_masks
from tools.record_sources import report as report_lib
from utils import errors

_HEIGHT, _WIDTH = 30, 40


def _square(ymin, xmin, ymax, xmax, shape=(_HEIGHT, _WIDTH)):
  mask = np.zeros(shape, np.uint8)
  mask[ymin:ymax, xmin:xmax] = 1
  return mask


_MASKS = [_square(2, 3, 12, 9), _square(0, 20, 30, 40), _square(20, 0, 25, 5)]


def _compressed(mask):
  rle = mask_lib.encode(np.asfortranarray(mask))
  return {'size': list(mask.shape), 'counts': rle['counts'].decode()}


def _counts(mask):
  """Run lengths that are not compressed, column by column from 0."""
  flat = mask.T.reshape(-1)
  ends = np.flatnonzero(np.diff(flat)) + 1
  counts = np.diff([0, *ends, flat.size]).tolist()
  return {
    'size': list(mask.shape),
    'counts': [0, *counts] if flat[0] else counts,
  }


def _annotation(number, segmentation, image_id=1, **more):
  return {
    'id': number,
    'image_id': image_id,
    'category_id': 1,
    'bbox': [1, 1, 20, 20],
    'segmentation': segmentation,
    **more,
  }


def _write_json(folder, annotations, width=_WIDTH, height=_HEIGHT):
  image = {'id': 1, 'file_name': 'a.png', 'width': width, 'height': height}
  content = {
    'images': [image],
    'annotations': annotations,
    'categories': [{'id': 1, 'name': 'cell'}],
  }
  (folder / 'in.json').write_text(json.dumps(content))
  return str(folder / 'in.json')


def _convert(annotated, report, tmp_path):
  """Returns the masks of each record, and the COCO json."""
  written = annotated_images.convert(
    annotated,
    report,
    tmp_path,
    kind=detection_records.DetectionRecords(include_masks=True),
  )
  stored = []
  for example in annotated_images.examples(written.shard_files):
    pngs = annotated_images.values(example, 'image/object/mask')
    stored.append([np.asarray(Image.open(io.BytesIO(png))) for png in pngs])
  return stored, written.coco


def _convert_coco(folder, annotations, **size):
  report = report_lib.Report()
  path = _write_json(folder, annotations, **size)
  annotated = coco.read_coco(path, str(folder), report)
  return (*_convert(annotated, report, folder), report)


def test_all_kinds_of_segmentations(tmp_path):
  annotated_images.save_image(tmp_path / 'a.png')
  (masks,), content, report = _convert_coco(
    tmp_path,
    [
      _annotation(1, [[3, 2, 9, 2, 9, 12, 3, 12]]),
      _annotation(2, _compressed(_MASKS[1])),
      _annotation(3, _counts(_MASKS[2]), iscrowd=1, area=24),
      _annotation(4, [[0, 0, 4, 0, 4, 4, 0, 4], [8, 8, 9, 8, 9, 9, 8, 9]]),
    ],
  )
  wanted = [*_MASKS, _square(0, 0, 4, 4) + _square(8, 8, 9, 9)]
  assert report.as_dict() == {}
  for mask, want, entry in zip(masks, wanted, content['annotations']):
    np.testing.assert_array_equal(mask, want)
    assert entry['segmentation'] == _compressed(want)
  areas = [entry['area'] for entry in content['annotations']]
  assert areas == [60, 400, 24, 17]


def test_objects_without_a_mask_are_left_out_and_counted(tmp_path):
  annotated_images.save_image(tmp_path / 'a.png')
  (masks,), content, report = _convert_coco(
    tmp_path,
    [
      _annotation(1, [[3, 2, 9, 2, 9, 12, 3, 12]]),
      _annotation(2, None),
      _annotation(3, []),
      _annotation(4, [[1, 2, 3]]),
      _annotation(5, _compressed(_MASKS[1].T)),
      _annotation(6, {'size': [_HEIGHT, _WIDTH], 'counts': '0h4'}),
      _annotation(7, {'size': [_HEIGHT, _WIDTH], 'counts': [3, 4]}),
      _annotation(8, [[3, 2, 3.1, 2, 3.1, 2.1]]),
    ],
  )
  assert len(masks) == len(content['annotations']) == 1
  found = {kind: entry['count'] for kind, entry in report.as_dict().items()}
  assert found == {'no_mask': 2, 'malformed_mask': 4, 'empty_mask': 1}
  assert report.num_problems == 7


def test_no_mask_at_all_is_an_error(tmp_path):
  annotated_images.save_image(tmp_path / 'a.png')
  with pytest.raises(errors.DataError, match='without a segmentation: 1'):
    _convert_coco(tmp_path, [_annotation(1, None)])


def test_masks_follow_an_image_that_was_resized(tmp_path):
  annotated_images.save_image(tmp_path / 'a.png', 2 * _WIDTH, 2 * _HEIGHT)
  (masks,), _, report = _convert_coco(
    tmp_path, [_annotation(1, _compressed(_MASKS[0]))]
  )
  wanted = _square(4, 6, 24, 18, (2 * _HEIGHT, 2 * _WIDTH))
  np.testing.assert_array_equal(masks[0], wanted)
  assert report.count('size_differs') == 1


@pytest.mark.parametrize(
  'orientation, turn',
  [
    (6, lambda mask: np.rot90(mask, -1)),
    (8, np.rot90),
    (5, np.transpose),
    (7, lambda mask: np.rot90(mask, 2).T),
  ],
)
def test_masks_follow_an_image_that_is_turned(tmp_path, orientation, turn):
  exif = Image.Exif()
  exif[0x0112] = orientation
  annotated_images.save_image(tmp_path / 'a.png', exif=exif)
  # The size of the annotation is that of the stored pixels.
  (masks,), content, _ = _convert_coco(
    tmp_path,
    [_annotation(1, _compressed(_MASKS[0]), bbox=[3, 2, 6, 10])],
  )
  np.testing.assert_array_equal(masks[0], turn(_MASKS[0]))
  x, y, width, height = map(int, content['annotations'][0]['bbox'])
  assert masks[0][y : y + height, x : x + width].all()
  assert masks[0].sum() == width * height


def _save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(str(path))


@pytest.mark.parametrize('within', ['', 'masks'])
def test_folders_with_a_picture_for_each_object(tmp_path, within):
  images, folder = tmp_path / 'images', tmp_path / 'annotated'
  images.mkdir()
  for name in ('p_2.png', 'p_7.jpg', 'other.png'):
    annotated_images.save_image(images / name)
  for number, mask in enumerate(_MASKS):
    _save(folder / 'p_2' / within / f'{number}.png', mask * 255)
  _save(folder / 'p_7' / within / 'x.png', np.zeros_like(_MASKS[0]))
  (folder / 'p_7' / within / 'y.png').write_bytes(b'no picture')
  (folder / 'p_7' / within / 'notes.txt').write_text('')
  report = report_lib.Report()
  annotated = instance_masks.read_instance_masks(
    str(folder), str(images), report, 'cell'
  )
  (masks, nothing), content = _convert(annotated, report, tmp_path)
  np.testing.assert_array_equal(masks, _MASKS)
  assert not nothing
  assert [image['id'] for image in content['images']] == [2, 7]
  assert [entry['bbox'] for entry in content['annotations']] == [
    [3, 2, 6, 10],
    [20, 0, 20, 30],
    [0, 20, 5, 5],
  ]
  found = {kind: entry['count'] for kind, entry in report.as_dict().items()}
  assert found == {
    'empty_mask': 1,
    'unreadable_mask': 1,
    'image_without_masks': 1,
  }


def test_label_images_of_several_classes(tmp_path):
  images, folder = tmp_path / 'images', tmp_path / 'annotated'
  images.mkdir()
  annotated_images.save_image(images / '1.png')
  annotated_images.save_image(images / '2.png')
  numbers = _MASKS[0] * np.uint16(300) + _MASKS[2] * np.uint16(7)
  _save(folder / 'cell' / '1.png', numbers)
  colours = _MASKS[1][..., np.newaxis] * np.uint8([0, 9, 200])
  _save(folder / 'dust' / '1.png', colours)
  _save(folder / 'dust' / '2.png', _MASKS[0] * 255)
  report = report_lib.Report()
  annotated = instance_masks.read_instance_masks(
    str(folder), str(images), report
  )
  (first, second), content = _convert(annotated, report, tmp_path)
  np.testing.assert_array_equal(first, [_MASKS[2], _MASKS[0], _MASKS[1]])
  np.testing.assert_array_equal(second, [_MASKS[0]])
  classes = [entry['category_id'] for entry in content['annotations']]
  assert classes == [1, 1, 2, 2]
  assert annotated.label_map == {1: 'cell', 2: 'dust'}
  assert report.files('one_label') == [str(folder / 'dust' / '2.png')]


def test_layout_of_a_folder_for_each_picture(tmp_path):
  folder = tmp_path / 'stage1'
  for number in (1, 2):
    _save(folder / f'id{number}' / 'masks' / 'x.png', _MASKS[0] * 255)
    (folder / f'id{number}' / 'images').mkdir()
    annotated_images.save_image(
      folder / f'id{number}' / 'images' / f'id{number}.png'
    )
  report = report_lib.Report()
  annotated = instance_masks.read_instance_masks(
    str(folder), str(folder), report, 'cell'
  )
  masks, content = _convert(annotated, report, tmp_path)
  assert [len(of_image) for of_image in masks] == [1, 1]
  assert content['images'][0]['file_name'] == 'id1/images/id1.png'
  assert report.as_dict() == {}


def test_folder_without_masks(tmp_path):
  with pytest.raises(errors.DataError, match='no mask was found in it'):
    instance_masks.read_instance_masks(
      str(tmp_path), str(tmp_path), report_lib.Report()
    )


def test_pictures_that_are_no_masks(tmp_path):
  images, folder = tmp_path / 'images', tmp_path / 'annotated'
  images.mkdir()
  for name in ('1.png', '2.png', '3.png', '4.png'):
    annotated_images.save_image(images / name)
  disc = np.uint8(np.hypot(*np.mgrid[-15:15, -20:20]) < 9) * 255
  _save(folder / '1.jpg', disc)
  _save(folder / '2' / '0.jpg', disc)
  photo = np.random.RandomState(0).randint(0, 256, (80, 100, 3), np.uint8)
  _save(folder / '3.png', photo)
  _save(folder / '4.png', disc > 0)
  report = report_lib.Report()
  annotated = instance_masks.read_instance_masks(
    str(folder), str(images), report, 'cell'
  )
  assert [len(image.boxes) for image in annotated.images] == [0, 0, 0, 1]
  unusable = report.as_dict()['unreadable_mask']['findings']
  reasons = [finding['detail'] for finding in unusable]
  assert 'JPEG may change labels; save masks as PNG' in reasons
  assert reasons.count(reasons[0]) == 2
  assert 'values, as in a photo' in reasons[2]
  assert report.files('one_label') == [str(folder / '4.png')]
