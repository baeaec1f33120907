"""Operations that fill a rectangle at a random place."""

from typing import Sequence, Union

import tensorflow.compat.v1 as tf

from dataloader.autoaugment import box_transforms, randomness, regions

_Number = Union[float, tf.Tensor]

_GREY = 128


def cutout(
  image: tf.Tensor,
  pad_size: _Number,
  replace: Union[int, Sequence[int], tf.Tensor] = _GREY,
) -> tf.Tensor:
  """Fills a square around a pixel of the image (arXiv:1708.04552).

  Args:
    image: uint8 [height, width, 3].
    pad_size: half of the side, in pixels.
    replace: colour.
  """
  return regions.fill_around(
    image,
    randomness.integer(tf.shape(image)[:2], [2]),
    tf.cast(pad_size, tf.int32),
    replace,
  )


def bbox_cutout(
  image: tf.Tensor,
  bboxes: tf.Tensor,
  pad_fraction: _Number,
  replace_with_mean: bool = False,
) -> tf.Tensor:
  """Fills a rectangle around a pixel of one box, which may reach out of it.

  Args:
    image: uint8 [height, width, 3].
    bboxes: float32 [n, 4], normalised; without any, nothing happens.
    pad_fraction: half height and half width, as shares of the box's halves;
      float64 if it is a tensor.
    replace_with_mean: fill with the mean of the box, not with grey.

  Returns:
    The image.
  """
  num_boxes = tf.shape(bboxes)[0]
  # Without boxes the rectangle around this one has no pixels.
  candidates = tf.concat([bboxes, tf.zeros([1, 4])], axis=0)
  box = candidates[randomness.integer(tf.maximum(num_boxes, 1))]
  # Whole numbers come out whole in double precision only.
  fraction = tf.convert_to_tensor(pad_fraction, tf.float64)
  fraction *= tf.cast(tf.minimum(num_boxes, 1), tf.float64)
  low, high = tf.split(box_transforms.to_pixels(box, tf.shape(image)), 2)
  # Sides in pixels; the row and column at ymax and xmax belong to the box.
  sides = high - low + 1
  half = tf.cast(fraction * (tf.cast(sides, tf.float64) / 2.0), tf.int32)
  color = _mean(image, low, sides) if replace_with_mean else _GREY
  center = low + randomness.integer(sides, [2])
  return regions.fill_around(image, center, half, color)


def _mean(image: tf.Tensor, low: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
  """Mean colour, uint8 [3]."""
  sides = tf.minimum(sides, tf.shape(image)[:2] - low)
  region = tf.slice(image, tf.concat([low, [0]], 0), tf.concat([sides, [3]], 0))
  total = tf.reduce_sum(tf.cast(region, tf.float32), axis=[0, 1])
  # No pixel is left of a box that starts at the right or lower edge.
  num_pixels = tf.maximum(tf.reduce_prod(sides), 1)
  return tf.cast(total / tf.cast(num_pixels, tf.float32), tf.uint8)
