"""Geometry of boxes, `[ymin, xmin, ymax, xmax]`.

Normalised boxes are in units of the image's sides, others in pixels.
"""

import tensorflow.compat.v1 as tf


def denormalize_boxes(
  boxes_normalized: tf.Tensor, image_sizes: tf.Tensor
) -> tf.Tensor:
  """Boxes in pixels.

  Args:
    boxes_normalized: float32 [n, 4].
    image_sizes: float32 [n, 2], (height, width) in pixels of each box's image.
  """
  return boxes_normalized * tf.tile(image_sizes, [1, 2])


def flip_boxes_horizontally(boxes_normalized: tf.Tensor) -> tf.Tensor:
  """Boxes [n, 4] of mirrored images."""
  ymin, xmin, ymax, xmax = tf.unstack(boxes_normalized, num=4, axis=1)
  return tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=1)


def resize_and_crop_boxes(
  boxes: tf.Tensor, scales: tf.Tensor, sizes: tf.Tensor, offsets: tf.Tensor
) -> tf.Tensor:
  """Boxes after their image was scaled and then cropped.

  Args:
    boxes: float32 [n, 4], pixels of the image before.
    scales: float32 [n, 2], (y, x) scale of the image.
    sizes: float32 [n, 2], (height, width) of the crop in pixels.
    offsets: float32 [n, 2], (y, x) of the crop in the scaled image, pixels.

  Returns:
    Boxes in pixels of the crop, clipped to its first and last row and column.
  """
  boxes = boxes * tf.tile(scales, [1, 2]) - tf.tile(offsets, [1, 2])
  return tf.minimum(tf.maximum(boxes, 0.0), tf.tile(sizes - 1.0, [1, 2]))


def scale_boxes(boxes: tf.Tensor, scale: float) -> tf.Tensor:
  """Boxes [..., 4] of the same centres, with sides `scale` times as long."""
  low, high = tf.split(boxes, 2, axis=-1)
  centre, half = (low + high) / 2.0, (high - low) * (scale / 2.0)
  return tf.concat([centre - half, centre + half], axis=-1)


def is_not_empty(boxes: tf.Tensor) -> tf.Tensor:
  """bool [n]: whether height and width of boxes [n, 4] are above 0."""
  return tf.reduce_all(boxes[:, 2:] - boxes[:, :2] > 0.0, axis=1)


def pairwise_iou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
  """Intersection over union of all pairs of boxes.

  Args:
    a: float [batch, n, 4].
    b: float [batch, m, 4].

  Returns:
    [batch, n, m]; 0 for two boxes without area.
  """
  ymin_a, xmin_a, ymax_a, xmax_a = tf.unstack(a[:, :, None], axis=-1)
  ymin_b, xmin_b, ymax_b, xmax_b = tf.unstack(b[:, None], axis=-1)
  height = tf.minimum(ymax_a, ymax_b) - tf.maximum(ymin_a, ymin_b)
  width = tf.minimum(xmax_a, xmax_b) - tf.maximum(xmin_a, xmin_b)
  intersection = tf.maximum(height, 0.0) * tf.maximum(width, 0.0)
  area_a = (ymax_a - ymin_a) * (xmax_a - xmin_a)
  area_b = (ymax_b - ymin_b) * (xmax_b - xmin_b)
  return tf.div_no_nan(intersection, area_a + area_b - intersection)


def has_area(boxes: tf.Tensor) -> tf.Tensor:
  """Whether boxes [..., 4] have one that float32 can hold; bool [...]."""
  ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
  height, width = ymax - ymin, xmax - xmin
  # The product of two tiny sides may be 0.
  return (height > 0.0) & (width > 0.0) & (height * width > 0.0)
