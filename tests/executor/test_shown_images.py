"""Eval images in TensorBoard."""

import types

import numpy as np

from executor import shown_images
from tests import record_factory
from utils import drawing

_HEIGHT, _WIDTH = 200, 400


def _params(path, count):
  settings = types.SimpleNamespace(
    num_shown_images=count, eval_file_pattern=str(path)
  )
  return types.SimpleNamespace(eval=settings)


def _write(tmp_path, number, size=(_HEIGHT, _WIDTH), **features):
  grey = np.full([*size, 3], 128, np.uint8)
  records = [
    record_factory.make_record(
      source_id=str(i).encode(), encoded=record_factory.encode(grey), **features
    )
    for i in range(number)
  ]
  return record_factory.write_records(tmp_path / 'set.tfrecord', records)


def _batch(ids, score=0.9):
  """One object and two detections of each image, which is resized by 0.5."""
  size = len(ids)
  groundtruths = {
    'boxes': np.tile(np.float32([[50, 100, 150, 200], [-1] * 4]), [size, 1, 1]),
    'classes': np.tile([1, -1], [size, 1]),
  }
  predictions = {
    'source_id': np.array(ids),
    'is_padding': np.array([i < 0 for i in ids]),
    'image_info': np.tile(
      np.float32([[_HEIGHT, _WIDTH], [100, 200], [0.5, 0.5], [0, 0]]),
      [size, 1, 1],
    ),
    'detection_boxes': np.tile(
      np.float32([[25, 50, 75, 175], [0, 0, 10, 10]]), [size, 1, 1]
    ),
    'detection_classes': np.tile([2, 1], [size, 1]),
    'detection_scores': np.tile(np.float32([score, 0.05]), [size, 1]),
  }
  return predictions, groundtruths


def _has_outline(picture, box, class_id):
  """Whether a box, xmin, ymin, xmax, ymax, is drawn in its class's colour."""
  xmin, ymin, xmax, ymax = box
  x, y = (xmin + 2 * xmax) // 3, (ymin + 2 * ymax) // 3
  points = [(xmin, y), (xmax, y), (x, ymin), (x, ymax)]
  color = drawing.class_color(class_id)
  return all(picture.getpixel(point) == color for point in points)


def test_the_first_images_with_boxes_in_their_frame(tmp_path):
  shown = shown_images.ShownImages(_params(_write(tmp_path, 5), 3))
  for _ in range(2):
    shown.update(*_batch([0, 1]))
    shown.update(*_batch([2, 3], score=0.2))
    shown.update(*_batch([4, -1]))
    pictures = shown.draw({1: 'cat'})
    tags = [f'groundtruth and detections/{i}' for i in range(3)]
    assert list(pictures) == tags
    # Of weak detections the best one alone.
    for picture in pictures.values():
      assert picture.size == (2 * 400 + 8, 200)
      assert _has_outline(picture, (100, 50, 200, 150), 1)
      assert _has_outline(picture, (408 + 100, 50, 408 + 350, 150), 2)
      assert picture.getpixel((408 + 10, 20)) == (128, 128, 128)
    shown.reset()


def test_no_images_are_shown(tmp_path):
  shown = shown_images.ShownImages(_params(tmp_path / 'absent', 0))
  shown.update(*_batch([0, 1]))
  assert shown.draw({}) == {}


def test_masks_of_both(tmp_path):
  mask = np.zeros([_HEIGHT, _WIDTH], np.uint8)
  mask[50:150, 100:150] = 1
  path = _write(tmp_path, 1, object__mask=[record_factory.encode(mask)])
  shown = shown_images.ShownImages(_params(path, 1))
  predictions, groundtruths = _batch([0])
  predictions['detection_masks'] = np.ones([1, 2, 28, 28], np.float32)
  shown.update(predictions, groundtruths)
  (picture,) = shown.draw({}).values()
  grey = (128, 128, 128)
  # The left half of the box of the groundtruth; all of the detection.
  assert picture.getpixel((125, 125)) != grey
  assert picture.getpixel((175, 125)) == grey
  assert picture.getpixel((408 + 125, 125)) != grey
  assert picture.getpixel((408 + 325, 125)) != grey
  assert picture.getpixel((408 + 375, 125)) == grey


def test_masks_within_outer_boxes(tmp_path):
  shown = shown_images.ShownImages(_params(_write(tmp_path, 1), 1))
  predictions, groundtruths = _batch([0])
  boxes = predictions['detection_boxes']
  predictions['detection_outer_boxes'] = boxes + np.float32([-5, -5, 5, 5])
  predictions['detection_masks'] = np.ones([1, 2, 28, 28], np.float32)
  shown.update(predictions, groundtruths)
  (picture,) = shown.draw({}).values()
  # 10 pixels more of the image on each side.
  assert picture.getpixel((408 + 355, 125)) != (128, 128, 128)
  assert picture.getpixel((408 + 365, 125)) == (128, 128, 128)


def test_large_images_are_shown_small(tmp_path):
  path = _write(tmp_path, 1, (700, 1000))
  shown = shown_images.ShownImages(_params(path, 1))
  shown.update(*_batch([0]))
  (picture,) = shown.draw({}).values()
  assert picture.size == (2 * 640 + 8, 448)


def test_classes_of_whole_images(tmp_path):
  shown = shown_images.ShownImages(_params(_write(tmp_path, 1), 8))
  predictions = {
    'source_id': np.array([7]),
    'is_padding': np.array([False]),
    'class_probabilities': np.float32([[0, 0.25, 0.75]]),
  }
  shown.update(predictions, {'classes': np.array([1])})
  (picture,) = shown.draw({1: 'cat', 2: 'dog'}).values()
  colors = {color for _, color in picture.getcolors(10**6)}
  assert drawing.class_color(1) in colors and drawing.class_color(2) in colors
  left = picture.crop((0, 0, 400, 200))
  assert drawing.class_color(2) not in {c for _, c in left.getcolors(10**6)}
