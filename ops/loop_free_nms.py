"""Non-maximum suppression by an operator, for formats that have no loops."""

from typing import Optional

import tensorflow.compat.v1 as tf

from ops import nms

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
  suppress_equal: bool = True,
) -> nms.KeptBoxes:
  """As `nms.multiclass_nms`, of a static batch.

  The 4,096 best scores alone are candidates, and an overlap of exactly
  `iou_threshold` drops no box, whatever `suppress_equal` says.
  """
  del suppress_equal
  num_boxes, num_classes = scores.shape.as_list()[1:]
  per_class = min(num_boxes, max_candidates_per_class or num_boxes)
  num_candidates = min(num_classes * per_class, _MAX_CANDIDATES)
  images = []
  for image_boxes, image_scores in zip(tf.unstack(boxes), tf.unstack(scores)):
    has_area = tf.tile(nms.has_area(image_boxes)[:, None], [1, num_classes])
    image_scores = tf.where(
      has_area, image_scores, tf.fill(tf.shape(image_scores), _NO_CANDIDATE)
    )
    # Class-major, so that ties go to the lower class.
    best, index = tf.nn.top_k(tf.transpose(image_scores), per_class)
    best, flat = tf.nn.top_k(tf.reshape(best, [-1]), num_candidates)
    classes = tf.floordiv(flat, per_class)
    candidates = tf.gather(
      image_boxes, tf.gather(tf.reshape(index, [-1]), flat)
    )
    images.append(
      _suppress(
        nms.KeptBoxes(num_candidates, candidates, classes, best),
        max_detections,
        iou_threshold,
        max(score_threshold, _NO_CANDIDATE / 2),
      )
    )
  return nms.KeptBoxes(*[tf.stack(values) for values in zip(*images)])


def _suppress(
  candidates: nms.KeptBoxes,
  max_detections: int,
  iou_threshold: float,
  score_threshold: float,
) -> nms.KeptBoxes:
  """Of one image, best first: what is kept, without the batch dimension."""
  _, boxes, classes, scores = candidates
  # Side by side, boxes of different classes do not touch each other.
  shift = tf.cast(classes, tf.float32) * (tf.reduce_max(boxes) + 1)
  nothing = tf.zeros_like(shift)
  index, count = tf.image.non_max_suppression_padded(
    boxes + tf.stack([nothing, shift, nothing, shift], axis=1),
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
      mask = mask[:, None]
    return values * mask + unused * (1 - mask)

  return nms.KeptBoxes(
    count, taken(boxes, 0), taken(classes, -1), taken(scores, 0)
  )
