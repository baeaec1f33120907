"""Geometry of boxes, `[ymin, xmin, ymax, xmax]`.

Normalised boxes are in units of the image's sides, others in pixels.
"""

import tensorflow.compat.v1 as tf


def denormalize_boxes(
  boxes_normalized: tf.Tensor, image_size: tf.Tensor
) -> tf.Tensor:
  """Boxes in pixels.

  Args:
    boxes_normalized: float32 [n, 4].
    image_size: float32 [2], (height, width) in pixels.
  """
  return boxes_normalized * tf.tile(image_size, [2])


def flip_boxes_horizontally(boxes_normalized: tf.Tensor) -> tf.Tensor:
  """Boxes [n, 4] of the mirrored image."""
  ymin, xmin, ymax, xmax = tf.unstack(boxes_normalized, num=4, axis=1)
  return tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=1)


def resize_and_crop_boxes(
  boxes: tf.Tensor, scale: tf.Tensor, size: tf.Tensor, offset: tf.Tensor
) -> tf.Tensor:
  """Boxes after the image was scaled and then cropped.

  Args:
    boxes: float32 [n, 4], pixels of the image before.
    scale: float32 [2], (y, x) scale of the image.
    size: float32 [2], (height, width) of the crop in pixels.
    offset: float32 [2], (y, x) of the crop in the scaled image, pixels.

  Returns:
    Boxes in pixels of the crop, clipped to its first and last row and column.
  """
  boxes = boxes * tf.tile(scale, [2]) - tf.tile(offset, [2])
  return tf.clip_by_value(boxes, 0.0, tf.tile(size - 1.0, [2]))


def non_empty_indices(boxes: tf.Tensor) -> tf.Tensor:
  """Indices, int64 [m], of the boxes [n, 4] with height and width above 0."""
  ymin, xmin, ymax, xmax = tf.unstack(boxes, num=4, axis=1)
  return tf.where((ymax - ymin > 0.0) & (xmax - xmin > 0.0))[:, 0]
