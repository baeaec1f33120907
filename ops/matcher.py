"""Matching of anchors and groundtruth boxes.

All anchors of one `AnchorType` are one box shifted on a grid. A groundtruth box
overlaps those of sufficient IoU in one rectangle of grid positions, which
follows from the box in closed form. So IoU is computed for a few thousand pairs
of anchor and box, where a matrix would hold millions.
"""

from typing import NamedTuple, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import anchors as anchors_lib

UNMATCHED = -1
IGNORED = -2

# Relative margin that covers the rounding of an IoU in float32.
_MARGIN = 1e-4
# Pixels by which a rectangle of positions is widened, for the same reason.
_SLACK = 1e-2
# A forced match beats every IoU.
_FORCED = 2.0


class Matches(NamedTuple):
  """The anchors that are not simply background; k of them.

  Attributes:
    image_indices: int32 [k], index of the image in the batch.
    anchor_indices: int32 [k]; pairs of image and anchor are distinct.
    groundtruth_indices: int32 [k], index among the boxes of the whole batch of
      the box of largest IoU; or `IGNORED`; or `UNMATCHED` where that IoU is
      too small after all.
  """

  image_indices: tf.Tensor
  anchor_indices: tf.Tensor
  groundtruth_indices: tf.Tensor


class AnchorMatcher:
  """Matches anchors to groundtruth boxes by IoU.

  An anchor belongs to the box of its largest IoU v, if v >= match_threshold;
  below unmatched_threshold it is unmatched, between them ignored. Besides,
  every box gets the anchor of its own largest IoU, whatever its value. Of equal
  IoUs the lowest index wins; if two boxes claim one anchor that way, the first
  box gets it.

  Args:
    anchors: all anchors of the image.
    match_threshold: IoU at which an anchor is matched, above 0.
    unmatched_threshold: IoU below which it is unmatched.

  Raises:
    ValueError: the thresholds contradict each other.
  """

  def __init__(
    self,
    anchors: anchors_lib.Anchors,
    match_threshold: float = 0.5,
    unmatched_threshold: float = 0.5,
  ):
    if unmatched_threshold > match_threshold:
      raise ValueError(
        f'unmatched_threshold {unmatched_threshold} is above match_threshold '
        f'{match_threshold}.'
      )
    if match_threshold <= 0:
      raise ValueError(f'match_threshold {match_threshold} is not above 0.')
    self._match_threshold = match_threshold
    self._unmatched_threshold = unmatched_threshold
    self._num_anchors = anchors.num_anchors
    types = anchors.types
    self._stride = np.float32([2**t.level for t in types])
    self._half = np.float32([[t.half_height, t.half_width] for t in types]).T
    self._grid = np.int32([[t.grid_height, t.grid_width] for t in types]).T
    self._first_index = np.int32([t.first_index for t in types])
    self._index_step = np.int32([t.index_step for t in types])

  def __call__(self, boxes: tf.Tensor, image_indices: tf.Tensor) -> Matches:
    """Matches the anchors of a batch of images.

    Args:
      boxes: float32 [m, 4], `[ymin, xmin, ymax, xmax]`, pixels of the padded
        image, with height and width above 0; the boxes of all images, m may
        be 0.
      image_indices: int32 [m], index in the batch of the image of each box.
    """
    groundtruth, anchor, iou = self._candidates(boxes)
    best_anchor = self._best_anchors(groundtruth, anchor, iou, boxes)
    num_boxes = tf.size(best_anchor)
    groundtruth = tf.concat([groundtruth, tf.range(num_boxes)], axis=0)
    anchor = tf.concat([anchor, best_anchor], axis=0)
    iou = tf.concat([iou, tf.fill([num_boxes], _FORCED)], axis=0)

    # For each anchor the largest IoU and the first groundtruth that has it.
    anchor += tf.gather(image_indices, groundtruth) * self._num_anchors
    anchor, pair_anchor = tf.unique(anchor)
    count = tf.size(anchor)
    largest = tf.math.unsorted_segment_max(iou, pair_anchor, count)
    is_largest = tf.equal(iou, tf.gather(largest, pair_anchor))
    groundtruth = tf.math.unsorted_segment_min(
      tf.where(is_largest, groundtruth, tf.fill(tf.shape(iou), num_boxes)),
      pair_anchor,
      count,
    )
    otherwise = tf.where(
      largest >= self._unmatched_threshold,
      tf.fill([count], IGNORED),
      tf.fill([count], UNMATCHED),
    )
    return Matches(
      anchor // self._num_anchors,
      anchor % self._num_anchors,
      tf.where(
        largest >= min(self._match_threshold, _FORCED), groundtruth, otherwise
      ),
    )

  def background(self, num_boxes: tf.Tensor) -> tf.Tensor:
    """What the anchors are that are not among the matches.

    Args:
      num_boxes: int [batch], number of boxes of each image.

    Returns:
      int32 [batch], `UNMATCHED` or `IGNORED`.
    """
    # Always UNMATCHED, but no constant: what it is repeated to would be folded
    # into one of a number for each anchor, which takes TensorFlow a second.
    unmatched = tf.minimum(num_boxes, UNMATCHED)
    if self._unmatched_threshold > 0:
      return unmatched
    return tf.where(
      num_boxes > 0, tf.fill(tf.shape(num_boxes), IGNORED), unmatched
    )

  def _candidates(
    self, boxes: tf.Tensor
  ) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Pairs with an IoU that can matter: groundtruth, anchor, IoU, each [k].

    They include every pair whose IoU is at least unmatched_threshold or the
    largest of its groundtruth.
    """
    # [2, m, 1], y and x.
    box_min = tf.transpose(boxes[:, :2])[:, :, tf.newaxis]
    box_max = tf.transpose(boxes[:, 2:])[:, :, tf.newaxis]
    box_size = box_max - box_min
    # [2, 1, types].
    half = self._half[:, np.newaxis]
    last = self._grid[:, np.newaxis] - 1

    # Of all anchors of a type, the nearest to the box has the largest overlap.
    nearest = tf.floor((box_min + box_max) * (0.5 / self._stride))
    nearest = tf.clip_by_value(nearest, 0.0, last.astype(np.float32))
    center = (nearest + 0.5) * self._stride
    overlap = tf.minimum(box_max, center + half) - tf.maximum(
      box_min, center - half
    )
    intersection = tf.reduce_prod(tf.maximum(overlap, 0.0), axis=0)
    # [m, types] and [m, 1].
    type_iou = intersection / (
      tf.reduce_prod(box_size, axis=0)
      + np.prod(2 * self._half, axis=0)
      - intersection
    )
    lowest = tf.minimum(
      self._unmatched_threshold, tf.reduce_max(type_iou, axis=1, keepdims=True)
    )
    lowest = tf.maximum(lowest, 0.0) * (1.0 - _MARGIN)

    # IoU never exceeds the IoU of the projections on one axis, which asks for
    # at least this overlap there. The positions that have it are neighbours.
    needed = lowest / (1.0 + lowest) * (box_size + 2 * half) - _SLACK
    first = tf.ceil((box_min + needed - half) / self._stride - 0.5)
    first = tf.maximum(tf.cast(first, tf.int32), 0)
    end = tf.floor((box_max - needed + half) / self._stride - 0.5)
    end = tf.minimum(tf.cast(end, tf.int32), last) + 1
    count = tf.maximum(end - first, 0)
    count = tf.where(
      type_iou >= lowest * (1.0 - _MARGIN),
      tf.reduce_prod(count, axis=0),
      tf.zeros_like(count[0]),
    )

    groundtruth, anchor_type, y, x = _positions(first, end, count)
    step = tf.gather(self._index_step, anchor_type)
    grid_width = tf.gather(self._grid[1], anchor_type)
    anchor = tf.gather(self._first_index, anchor_type)
    anchor += (y * grid_width + x) * step
    iou = self._iou(tf.gather(boxes, groundtruth), anchor_type, y, x)
    return groundtruth, anchor, iou

  def _iou(
    self,
    boxes: tf.Tensor,
    anchor_type: tf.Tensor,
    y: tf.Tensor,
    x: tf.Tensor,
  ) -> tf.Tensor:
    """IoU [k] of boxes [k, 4] with the anchors at grid positions (y, x)."""
    stride = tf.gather(self._stride, anchor_type)
    overlaps, box_sizes, anchor_sizes = [], [], []
    for axis, index in enumerate((y, x)):
      half = tf.gather(self._half[axis], anchor_type)
      center = (tf.cast(index, tf.float32) + 0.5) * stride
      # Rounded as the anchors themselves are, so that ties stay ties.
      anchor_min, anchor_max = center - half, center + half
      box_min, box_max = boxes[:, axis], boxes[:, axis + 2]
      overlap = tf.minimum(box_max, anchor_max) - tf.maximum(
        box_min, anchor_min
      )
      overlaps.append(tf.maximum(overlap, 0.0))
      box_sizes.append(box_max - box_min)
      anchor_sizes.append(anchor_max - anchor_min)
    intersection = overlaps[0] * overlaps[1]
    union = (
      box_sizes[0] * box_sizes[1]
      + anchor_sizes[0] * anchor_sizes[1]
      - intersection
    )
    return intersection / union

  def _best_anchors(
    self,
    groundtruth: tf.Tensor,
    anchor: tf.Tensor,
    iou: tf.Tensor,
    boxes: tf.Tensor,
  ) -> tf.Tensor:
    """The first anchor of the largest IoU of each groundtruth, int32 [m]."""
    num_boxes = tf.shape(boxes)[0]
    largest = tf.math.unsorted_segment_max(iou, groundtruth, num_boxes)
    is_largest = tf.equal(iou, tf.gather(largest, groundtruth))
    best = tf.math.unsorted_segment_min(
      tf.where(is_largest, anchor, tf.fill(tf.shape(anchor), tf.int32.max)),
      groundtruth,
      num_boxes,
    )
    # Where nothing overlaps all are equal.
    return tf.where(largest > 0.0, best, tf.zeros_like(best))


def _positions(
  first: tf.Tensor, end: tf.Tensor, count: tf.Tensor
) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
  """All positions of rectangles on the grids.

  Args:
    first, end: int32 [2, m, types], y and x.
    count: int32 [m, types], positions of a rectangle; 0 leaves it out.

  Returns:
    Groundtruth, type, y and x, each int32 [k].
  """
  # [r, 2], the rectangles as (groundtruth, type).
  rectangles = tf.where(count > 0)
  count = tf.gather_nd(count, rectangles)
  groundtruth, anchor_type = tf.unstack(
    tf.cast(rectangles, tf.int32), num=2, axis=1
  )
  first_y, first_x = (tf.gather_nd(f, rectangles) for f in tf.unstack(first))
  width = tf.gather_nd((end - first)[1], rectangles)

  # [k], one for each position of each rectangle.
  ends = tf.cumsum(count)
  position = tf.range(tf.reduce_sum(count))
  rectangle = tf.searchsorted(ends, position, side='right')
  position -= tf.gather(ends - count, rectangle)
  width = tf.gather(width, rectangle)
  y = tf.gather(first_y, rectangle) + position // width
  x = tf.gather(first_x, rectangle) + position % width
  return (
    tf.gather(groundtruth, rectangle),
    tf.gather(anchor_type, rectangle),
    y,
    x,
  )
