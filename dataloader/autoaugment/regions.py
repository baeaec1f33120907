"""Rectangles of an image."""

from typing import Sequence, Tuple, Union

import tensorflow.compat.v1 as tf

Color = Union[int, Sequence[int], tf.Tensor]


def image_size(image: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
  """Height and width of an image [height, width, 3], int32 scalars."""
  height, width, _ = tf.unstack(tf.shape(image), num=3)
  return height, width


def paste(
  image: tf.Tensor, patch: tf.Tensor, top: tf.Tensor, left: tf.Tensor
) -> tf.Tensor:
  """Returns the image with `patch` in place of what was there.

  Args:
    image: uint8 [height, width, 3].
    patch: uint8 [h, w, 3], may be empty.
    top: int32 scalar, first row; the patch lies inside of the image.
    left: int32 scalar, first column.
  """
  height, width = image_size(image)
  h, w = image_size(patch)
  above, rows, below = tf.split(image, [top, h, height - top - h], axis=0)
  before, _, behind = tf.split(rows, [left, w, width - left - w], axis=1)
  rows = tf.concat([before, patch, behind], axis=1)
  pasted = tf.concat([above, rows, below], axis=0)
  pasted.set_shape(image.shape)
  return pasted


def fill_around(
  image: tf.Tensor, center: tf.Tensor, half: tf.Tensor, color: Color
) -> tf.Tensor:
  """Fills rows center - half ... center + half - 1, columns likewise.

  Args:
    image: uint8 [height, width, 3].
    center: int32 [2], row and column.
    half: int32 [2], rows and columns to either side.
    color: of the pixels there.
  """
  size = tf.shape(image)[:2]
  low = tf.clip_by_value(center - half, 0, size)
  patch = tf.clip_by_value(center + half, low, size) - low
  (top, left), (height, width) = tf.unstack(low), tf.unstack(patch)
  return paste(image, solid(height, width, color), top, left)


def solid(
  height: Union[int, tf.Tensor], width: Union[int, tf.Tensor], color: Color
) -> tf.Tensor:
  """uint8 [height, width, 3] of one colour: 3 values, or one for all."""
  if isinstance(color, (list, tuple)) and len(set(color)) == 1:
    color = color[0]
  if isinstance(color, int):
    return tf.fill([height, width, 3], tf.constant(color, tf.uint8))
  # Filling one row and tiling rows is faster than tiling 3 bytes.
  color = tf.broadcast_to(tf.cast(color, tf.uint8), [3])
  rows = tf.tile(tf.tile(color, [width])[tf.newaxis], [height, 1])
  return tf.reshape(rows, [height, width, 3])
