"""Boxes of images whose pixels move.

Boxes are float32 [n, 4], normalised, `[ymin, xmin, ymax, xmax]`, and keep their
number and order: a box that leaves the image ends up on its border. Whatever is
computed in pixels is truncated, coordinate by coordinate.
"""

import math
from typing import Tuple, Union

import tensorflow.compat.v1 as tf

_Number = Union[float, tf.Tensor]
# A box that shrinks to nothing on a border is widened to this.
_SMALLEST_SIDE = 0.05


def to_pixels(boxes_normalized: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
  """Truncated to pixels.

  Args:
    boxes_normalized: float32 [..., 4].
    image_shape: int32, height and width first.

  Returns:
    int32 [..., 4].
  """
  return tf.cast(boxes_normalized * _sides(image_shape), tf.int32)


def translate_x(
  boxes: tf.Tensor, image_shape: tf.Tensor, pixels: _Number
) -> tf.Tensor:
  """Moves boxes left by `pixels`, right if negative."""
  pixels = tf.cast(pixels, tf.int32)
  edges = to_pixels(boxes, image_shape) - tf.stack([0, pixels, 0, pixels])
  return _normalized(edges, image_shape)


def translate_y(
  boxes: tf.Tensor, image_shape: tf.Tensor, pixels: _Number
) -> tf.Tensor:
  """Moves boxes up by `pixels`, down if negative."""
  pixels = tf.cast(pixels, tf.int32)
  edges = to_pixels(boxes, image_shape) - tf.stack([pixels, 0, pixels, 0])
  return _normalized(edges, image_shape)


def shear_x(
  boxes: tf.Tensor, image_shape: tf.Tensor, level: _Number
) -> tf.Tensor:
  """Around the corners after x - level * y."""
  y, x = _corners(to_pixels(boxes, image_shape))
  x -= tf.cast(level, tf.float32) * y
  return _normalized(_around(y, x), image_shape)


def shear_y(
  boxes: tf.Tensor, image_shape: tf.Tensor, level: _Number
) -> tf.Tensor:
  """Around the corners after y - level * x."""
  y, x = _corners(to_pixels(boxes, image_shape))
  y -= tf.cast(level, tf.float32) * x
  return _normalized(_around(y, x), image_shape)


def rotate(
  boxes: tf.Tensor, image_shape: tf.Tensor, degrees: _Number
) -> tf.Tensor:
  """Around the corners after a rotation about the centre of the image."""
  angle = tf.cast(degrees * (math.pi / 180.0), tf.float32)
  c, s = tf.cos(angle), tf.sin(angle)
  y, x = _corners(to_pixels(boxes - 0.5, image_shape))
  edges = tf.cast(_around(c * y - s * x, s * y + c * x), tf.float32)
  return _within_image(edges / _sides(image_shape) + 0.5)


def _sides(image_shape: tf.Tensor) -> tf.Tensor:
  """Height, width, height, width; float32 [4]."""
  return tf.cast(tf.gather(image_shape, [0, 1, 0, 1]), tf.float32)


def _corners(edges: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
  """y and x of the four corners, int32 [n, 4] to float32 [n, 4] each."""
  edges = tf.cast(edges, tf.float32)
  y = tf.gather(edges, [0, 0, 2, 2], axis=1)
  return y, tf.gather(edges, [1, 3, 1, 3], axis=1)


def _around(y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
  """The box around truncated corners, float32 [n, 4] each to int32 [n, 4]."""
  corners = tf.cast(tf.stack([y, x], axis=1), tf.int32)
  return tf.concat(
    [tf.reduce_min(corners, axis=2), tf.reduce_max(corners, axis=2)], axis=1
  )


def _normalized(edges: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
  return _within_image(tf.cast(edges, tf.float32) / _sides(image_shape))


def _within_image(boxes: tf.Tensor) -> tf.Tensor:
  """Clips to [0, 1] and widens what has become flat there; [n, 4]."""
  low, high = tf.split(tf.clip_by_value(boxes, 0.0, 1.0), 2, axis=1)
  is_flat = tf.equal(low, high)
  low = tf.where(is_flat, tf.minimum(low, 1.0 - _SMALLEST_SIDE), low)
  high = tf.where(is_flat, tf.maximum(high, _SMALLEST_SIDE), high)
  return tf.concat([low, high], axis=1)
