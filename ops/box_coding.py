"""Boxes relative to anchors: two codings.

Targets of anchors measure a box as `max - min`, detections as `max - min + 1`
(both corners are pixels of the box), so these are no inverses of each other.
Published checkpoints were trained and evaluated with this asymmetry, so both
stay as they are and apart. Targets of RoIs are measured as detections are.
"""

import math
from typing import Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

# A box is decoded to at most 1000 / 16 times the side of its anchor.
MAX_LOG_SCALE = math.log(1000.0 / 16.0)

# Keeps the logarithm of a target finite for a box without area.
_EPSILON = 1e-8


def encode_targets(boxes: tf.Tensor, anchor_boxes: tf.Tensor) -> tf.Tensor:
  """Training targets of boxes, sides measured as `max - min`.

  Args:
    boxes: float [..., 4], `[ymin, xmin, ymax, xmax]`, pixels of the model's
      image.
    anchor_boxes: float [..., 4], same frame; shapes broadcast.

  Returns:
    [..., 4], `[ty, tx, th, tw]`: offsets of the centre in units of the anchor's
    sides, and logarithms of the ratio of the sides (Ren et al.,
    arXiv:1506.01497).
  """
  yc, xc, height, width = _center_and_size(boxes, 0.0)
  yc_a, xc_a, height_a, width_a = _center_and_size(anchor_boxes, 0.0)
  height_a += _EPSILON
  width_a += _EPSILON
  return tf.stack(
    [
      (yc - yc_a) / height_a,
      (xc - xc_a) / width_a,
      tf.log((height + _EPSILON) / height_a),
      tf.log((width + _EPSILON) / width_a),
    ],
    axis=-1,
  )


def encode_boxes(
  boxes: tf.Tensor, rois: tf.Tensor, weights: Sequence[float]
) -> tf.Tensor:
  """The inverse of `decode_boxes`: targets of the second stage.

  Args:
    boxes: float [..., 4], `[ymin, xmin, ymax, xmax]`, pixels of the model's
      image.
    rois: float [..., 4], same frame; shapes broadcast.
    weights: factors of `[ty, tx, th, tw]`.
  """
  yc, xc, height, width = _center_and_size(boxes, 1.0)
  yc_a, xc_a, height_a, width_a = _center_and_size(rois, 1.0)
  encoded = [
    (yc - yc_a) / height_a,
    (xc - xc_a) / width_a,
    tf.log(height / height_a),
    tf.log(width / width_a),
  ]
  return tf.stack(encoded, axis=-1) * tf.constant(weights, boxes.dtype)


def decode_boxes(
  encoded_boxes: tf.Tensor,
  anchor_boxes: tf.Tensor,
  weights: Optional[Sequence[float]] = None,
) -> tf.Tensor:
  """Boxes that a network predicts, sides measured as `max - min + 1`.

  Args:
    encoded_boxes: float [..., 4], `[dy, dx, dh, dw]`; cast to the anchors'
      dtype.
    anchor_boxes: float [..., 4], `[ymin, xmin, ymax, xmax]`, pixels of the
      model's image; shapes broadcast.
    weights: factors by which the encoded values were multiplied.

  Returns:
    [..., 4], `[ymin, xmin, ymax, xmax]`, same frame and dtype as the anchors.
    Not clipped.
  """
  encoded_boxes = tf.cast(encoded_boxes, anchor_boxes.dtype)
  if weights is not None:
    encoded_boxes /= tf.constant(weights, encoded_boxes.dtype)
  # TFLite's converter takes an axis counted from the end for another one.
  last_axis = encoded_boxes.shape.ndims - 1
  dy, dx, dh, dw = tf.unstack(encoded_boxes, num=4, axis=last_axis)
  yc_a, xc_a, height_a, width_a = _center_and_size(anchor_boxes, 1.0)
  height = tf.exp(tf.minimum(dh, MAX_LOG_SCALE)) * height_a
  width = tf.exp(tf.minimum(dw, MAX_LOG_SCALE)) * width_a
  ymin = dy * height_a + yc_a - 0.5 * height
  xmin = dx * width_a + xc_a - 0.5 * width
  return tf.stack(
    [ymin, xmin, ymin + height - 1.0, xmin + width - 1.0], axis=last_axis
  )


def _center_and_size(
  boxes: tf.Tensor, extra: float
) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
  """Centre and sides, each `extra` longer than `max - min`."""
  ymin, xmin, ymax, xmax = tf.unstack(boxes, num=4, axis=-1)
  height = ymax - ymin + extra
  width = xmax - xmin + extra
  return ymin + 0.5 * height, xmin + 0.5 * width, height, width
