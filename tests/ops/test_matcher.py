"""The sparse matcher against the definition, on whole IoU matrices."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import anchors as anchors_lib
from ops import matcher as matcher_lib


def _make_anchors(size=(128, 256), anchor_size=4.0):
  return anchors_lib.Anchors(3, 7, 3, [1.0, 2.0, 0.5], anchor_size, size)


def _iou_matrix(boxes, anchors):
  """float32 [m, n], as defined."""
  overlap = np.minimum(boxes[:, None, 2:], anchors[None, :, 2:]) - np.maximum(
    boxes[:, None, :2], anchors[None, :, :2]
  )
  intersection = np.prod(np.maximum(overlap, np.float32(0)), axis=2)
  area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)[:, None]
  anchor_area = np.prod(anchors[:, 2:] - anchors[:, :2], axis=1)[None]
  return np.where(
    intersection > 0, intersection / (area + anchor_area - intersection), 0
  )


def _expected(boxes, anchors, match, unmatched):
  """int [n]: groundtruth, -1 or -2, by the dense algorithm."""
  if not len(boxes):
    return np.full(len(anchors), -1)
  iou = _iou_matrix(boxes, anchors)
  best, value = iou.argmax(axis=0), iou.max(axis=0)
  result = np.where(value >= match, best, np.where(value < unmatched, -1, -2))
  for box in reversed(range(len(boxes))):
    result[iou[box].argmax()] = box
  return result


def _match(matcher, anchors, boxes_of_images):
  """int [batch, n] with groundtruth indices that start anew for each image."""
  boxes = np.concatenate(boxes_of_images).reshape([-1, 4])
  counts = [len(b) for b in boxes_of_images]
  image = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
  with tf.Graph().as_default(), tf.Session() as session:
    matches, background = session.run(
      [
        matcher(tf.constant(boxes, tf.float32), tf.constant(image)),
        matcher.background(tf.constant(counts)),
      ]
    )
  result = np.tile(background[:, None], [1, anchors.num_anchors])
  index = matches.image_indices, matches.anchor_indices
  assert len(set(zip(*index))) == len(matches.anchor_indices)
  first = np.cumsum([0] + counts)[:-1][matches.image_indices]
  groundtruth = matches.groundtruth_indices
  result[index] = np.where(groundtruth >= 0, groundtruth - first, groundtruth)
  return result


def _random_boxes(rng, count, size, largest):
  center = rng.uniform(0, 1, (count, 2)) * size
  side = np.exp(rng.uniform(np.log(1), np.log(largest), (count, 2)))
  boxes = np.concatenate([center - side / 2, center + side / 2], axis=1)
  limit = np.tile(np.subtract(size, 1), 2)
  boxes = np.clip(boxes, 0, limit).astype(np.float32)
  return boxes[np.all(boxes[:, 2:] > boxes[:, :2], axis=1)]


@pytest.mark.parametrize(
  'match, unmatched',
  [(0.5, 0.5), (0.6, 0.4), (0.3, 0.05), (0.9, 0.2), (1.0, 1.0)],
)
def test_agrees_with_the_iou_matrix(match, unmatched):
  anchors = _make_anchors()
  matcher = matcher_lib.AnchorMatcher(anchors, match, unmatched)
  all_anchors = np.concatenate(list(anchors.boxes_by_level.values()))
  rng = np.random.RandomState(3)
  images = [
    _random_boxes(rng, count, (128, 256), 250) for count in (12, 0, 1, 40)
  ]
  # Whole numbers make many equal IoUs.
  images.append(
    np.round(_random_boxes(rng, 20, (128, 256), 100)) + [0, 0, 1, 1]
  )
  images = [np.float32(boxes) for boxes in images]
  found = _match(matcher, anchors, images)
  for boxes, got in zip(images, found):
    np.testing.assert_array_equal(
      got, _expected(boxes, all_anchors, match, unmatched)
    )
  assert (found[3] >= 0).sum() >= 20


def test_boxes_without_a_fitting_anchor_are_forced():
  anchors = _make_anchors()
  matcher = matcher_lib.AnchorMatcher(anchors)
  # Two share anchor 0, which goes to the first of them.
  boxes = np.float32([[0, 0, 2, 2], [0, 0, 2, 2], [60, 100, 61, 101]])
  (found,) = _match(matcher, anchors, [boxes])
  all_anchors = np.concatenate(list(anchors.boxes_by_level.values()))
  assert _iou_matrix(boxes, all_anchors).max() < 0.5
  matched = np.flatnonzero(found >= 0)
  assert found[matched].tolist() == [0, 2]


def test_a_box_that_no_anchor_touches_gets_anchor_0():
  anchors = _make_anchors(anchor_size=0.25)
  matcher = matcher_lib.AnchorMatcher(anchors)
  (found,) = _match(matcher, anchors, [np.float32([[0, 0, 1, 1]])])
  assert found[0] == 0
  assert (found == -1).sum() == anchors.num_anchors - 1


def test_no_anchor_is_background_at_threshold_0():
  anchors = _make_anchors()
  matcher = matcher_lib.AnchorMatcher(anchors, 0.5, 0.0)
  boxes = np.float32([[20, 20, 60, 60]])
  found = _match(matcher, anchors, [boxes, boxes[:0]])
  assert set(found[0]) == {0, -2}
  assert set(found[1]) == {-1}


@pytest.mark.parametrize('match, unmatched', [(0.4, 0.5), (0.0, 0.0)])
def test_thresholds_are_checked(match, unmatched):
  with pytest.raises(ValueError, match='threshold'):
    matcher_lib.AnchorMatcher(_make_anchors(), match, unmatched)


def test_background_is_no_constant():
  # It would be folded into one with a number for each anchor of a batch.
  num_boxes = tf.placeholder(tf.int32, [2])
  anchors = anchors_lib.Anchors(3, 3, 1, [1.0], 4.0, (8, 8))
  background = matcher_lib.AnchorMatcher(anchors).background(num_boxes)
  assert tf.get_static_value(background) is None
  with tf.Session() as session:
    values = session.run(background, {num_boxes: [0, 3]})
  np.testing.assert_array_equal(values, [-1, -1])
