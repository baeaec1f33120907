"""Non-maximum suppression by an operator, for formats that have no loops."""

from typing import Optional, Tuple

import tensorflow.compat.v1 as tf

from ops import box_ops

# Of all classes together; `nms` hardly ever has to look at more.
_MAX_CANDIDATES = 4096
_NO_CANDIDATE = -1e30


def multiclass_nms(
  boxes: tf.Tensor,
  scores: tf.Tensor,
  max_detections: int,
  iou_threshold: float,
  score_threshold: float,
  max_candidates_per_class: Optional[int] = None,
  keep_empty: bool = False,
) -> Tuple[tf.Tensor, ...]:
  """Fields of `nms.KeptBoxes` as of `nms.multiclass_nms`, of a static batch.

  The 4,096 best scores alone are candidates, and an overlap of exactly
  `iou_threshold` drops no box.
  """
  num_boxes, num_classes = scores.shape.as_list()[1:]
  per_class = min(num_boxes, max_candidates_per_class or num_boxes)
  num_candidates = min(num_classes * per_class, _MAX_CANDIDATES)
  if boxes.shape.ndims == 3:
    boxes = tf.tile(boxes[:, :, tf.newaxis], [1, 1, num_classes, 1])
  # Class-major, so that ties go to the lower class.
  boxes = tf.transpose(boxes, [0, 2, 1, 3])
  scores = tf.transpose(scores, [0, 2, 1])
  if not keep_empty:
    nothing = tf.fill(tf.shape(scores), _NO_CANDIDATE)
    scores = tf.where(box_ops.has_area(boxes), scores, nothing)
  first = num_boxes * tf.range(num_classes)[:, tf.newaxis]
  images = []
  for image_boxes, image_scores in zip(tf.unstack(boxes), tf.unstack(scores)):
    best, index = tf.nn.top_k(image_scores, per_class)
    best, order = tf.nn.top_k(tf.reshape(best, [-1]), num_candidates)
    index = tf.gather(tf.reshape(index + first, [-1]), order)
    candidates = (
      tf.gather(tf.reshape(image_boxes, [-1, 4]), index),
      tf.floordiv(index, num_boxes),
      best,
      tf.floormod(index, num_boxes),
    )
    images.append(
      _suppress(
        candidates,
        max_detections,
        # The operator takes none that no overlap reaches.
        min(iou_threshold, 1.0),
        max(score_threshold, _NO_CANDIDATE / 2),
      )
    )
  return tuple(tf.stack(values) for values in zip(*images))


def _suppress(
  candidates: Tuple[tf.Tensor, ...],
  max_detections: int,
  iou_threshold: float,
  score_threshold: float,
) -> Tuple[tf.Tensor, ...]:
  """Of one image, best first: what is kept, without the batch dimension."""
  boxes, classes, scores, rows = candidates
  # Side by side, boxes of different classes do not touch each other.
  shift = tf.cast(classes, tf.float32) * (tf.reduce_max(boxes) + 1)
  nothing = tf.zeros_like(shift)
  apart = boxes + tf.stack([nothing, shift, nothing, shift], axis=1)
  # Nor do those without area touch any: TF 1.15 would take one again and again.
  place = -2.0 * tf.range(1.0, boxes.shape.as_list()[0] + 1.0)
  alone = tf.stack([place, nothing, place + 1.0, nothing + 1.0], axis=1)
  has_area = tf.tile(box_ops.has_area(boxes)[:, tf.newaxis], [1, 4])
  index, count = tf.image.non_max_suppression_padded(
    tf.where(has_area, apart, alone),
    scores,
    max_detections,
    iou_threshold,
    score_threshold,
    pad_to_max_output_size=True,
  )
  is_used = tf.range(max_detections) < count

  def taken(values, unused):
    values = tf.reshape(
      tf.gather(values, index), [max_detections, *values.shape.as_list()[1:]]
    )
    mask = tf.cast(is_used, values.dtype)
    if values.shape.ndims == 2:
      mask = mask[:, tf.newaxis]
    return values * mask + unused * (1 - mask)

  return (
    count,
    taken(boxes, 0),
    taken(classes, -1),
    taken(scores, 0),
    taken(rows, 0),
  )
