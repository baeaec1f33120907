import numpy as np
import pytest

from evaluation.dataset import anchor_fit
from ops import anchors as anchors_lib


def _random_boxes(count, height, width, seed=0):
  rng = np.random.RandomState(seed)
  sizes = np.exp(rng.uniform(np.log(2), np.log(300), [count, 2]))
  centres = rng.uniform(0, 1, [count, 2]) * [height, width]
  return np.float32(np.hstack([centres - sizes / 2, centres + sizes / 2]))


def _iou_matrix(a, b):
  low = np.maximum(a[:, np.newaxis, :2], b[np.newaxis, :, :2])
  high = np.minimum(a[:, np.newaxis, 2:], b[np.newaxis, :, 2:])
  shared = np.prod(np.maximum(high - low, 0), axis=2)
  areas = [np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b)]
  return shared / (areas[0][:, np.newaxis] + areas[1] - shared)


def test_class_far_below_the_rest():
  classes = np.array([1] * 8 + [3] * 4)
  is_met = np.array([True] * 8 + [True] + [False] * 3)
  # 25 %, of 75 % of all.
  assert anchor_fit.worst_class(is_met, classes) == (3, 0.25)
  is_met[9] = True
  # 50 %, of 83 %.
  assert anchor_fit.worst_class(is_met, classes) is None
  assert anchor_fit.worst_class(is_met[:0], classes[:0]) is None


def test_nearest_anchor_decides():
  anchors = anchors_lib.Anchors(3, 5, 2, [1.0, 2.0, 0.5], 3.0, (96, 160))
  boxes = _random_boxes(300, 96, 160)
  everywhere = np.concatenate(list(anchors.boxes_by_level.values()))
  expected = _iou_matrix(boxes, everywhere).max(axis=1)
  for threshold in np.linspace(0.3, 0.8, 11):
    is_met = expected >= np.float32(threshold)
    assert 0 < is_met.sum() < 300
    np.testing.assert_array_equal(
      anchor_fit.met(anchors, boxes, threshold), is_met
    )


def test_met_at_the_threshold_itself():
  # One anchor of 32 pixels a cell of 8: a box of half of its height.
  anchors = anchors_lib.Anchors(3, 3, 1, [1.0], 4.0, (64, 64))
  boxes = np.float32([[20, 12, 36, 44], [20, 12, 35, 44], [9, 9, 9, 9]])
  assert list(anchor_fit.met(anchors, boxes, 0.5)) == [True, False, False]
  assert list(anchor_fit.met(anchors, boxes, 15 / 32)) == [True, True, False]


def test_boxes_in_the_model():
  boxes = np.array([[0.0, 0.5, 0.5, 1.0], [0.25, 0.0, 1.0, 0.5]])
  sizes = np.array([[480, 640], [100, 50]])
  fitted = anchor_fit.in_model(boxes, sizes, (256, 320))
  # To 240 x 320 and to 256 x 128.
  np.testing.assert_array_equal(
    fitted, np.float32([[0, 160, 120, 320], [64, 0, 256, 64]])
  )
  assert fitted.dtype == np.float32


@pytest.mark.parametrize('ratio', [1.0, 4.0])
def test_fit_takes_as_few_as_it_can(ratio):
  # Objects of one size and one shape need one anchor a position.
  rng = np.random.RandomState(1)
  height = rng.uniform(24, 26, 200)
  y, x = rng.uniform(20, 150, [2, 200])
  boxes = np.float32(np.stack([y, x, y + height, x + ratio * height], axis=1))
  block = anchor_fit.fit(boxes, (256, 256), 0.5)
  assert (block.num_scales, block.aspect_ratios) == (1, [ratio])
  assert (block.min_level, block.max_level) == (3, 3)
  anchors = block.anchors((256, 256))
  assert block.share == np.mean(anchor_fit.met(anchors, boxes, 0.5)) > 0.98


def test_fit_finds_two_shapes_and_the_levels():
  rng = np.random.RandomState(2)
  size = np.exp(rng.uniform(np.log(30), np.log(120), 400))
  shape = np.where(np.arange(400) % 2, 4.0, 0.25)
  width, height = size * np.sqrt(shape), size / np.sqrt(shape)
  y, x = rng.uniform(0, 100, [2, 400])
  boxes = np.float32(np.stack([y, x, y + height, x + width], axis=1))
  block = anchor_fit.fit(boxes, (384, 384), 0.5)
  assert block.aspect_ratios == [0.25, 4.0]
  assert block.share > 0.9
  assert block.changes() == {
    'architecture': {'min_level': 3, 'max_level': block.max_level},
    'anchor': {
      'num_scales': block.num_scales,
      'aspect_ratios': [0.25, 4.0],
      'anchor_size': block.anchor_size,
    },
  }
  assert anchor_fit.fit(boxes, (384, 384), 0.5, [(4, 6)]).min_level == 4
