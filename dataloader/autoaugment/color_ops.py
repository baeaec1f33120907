"""Operations on colours.

Images are uint8 [height, width, 3]. What replaces each value by itself is a
table of 256 entries.
"""

from typing import Union

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader.autoaugment import lookup, regions

_Number = Union[float, tf.Tensor]

# Of red, green and blue in the grey of three channels, as in
# `tf.image.rgb_to_grayscale`, which scales bytes by 1/255, and back by 255.5.
_TO_GREY = np.tile(np.float32([[0.2989], [0.587], [0.114]]), 3)
_TO_GREY *= np.float32(255.5 / 255.0)


def _to_uint8(values: tf.Tensor) -> tf.Tensor:
  """Clips and truncates."""
  return tf.cast(tf.clip_by_value(values, 0.0, 255.0), tf.uint8)


def _blend(low: tf.Tensor, high: tf.Tensor, factor: _Number) -> tf.Tensor:
  """low + factor * (high - low), uint8: 0 gives `low` and 1 gives `high`.

  Args:
    low: float32, whole numbers.
    high: float32, whole numbers.
    factor: above 1 the difference grows.
  """
  return _to_uint8(low + tf.cast(factor, tf.float32) * (high - low))


def _values() -> tf.Tensor:
  return tf.range(256, dtype=tf.int32)


def auto_contrast(image: tf.Tensor) -> tf.Tensor:
  """Stretches each channel to the whole range."""
  pixels = tf.reshape(image, [-1, 3])
  low = tf.cast(tf.reduce_min(pixels, axis=0), tf.float32)
  high = tf.cast(tf.reduce_max(pixels, axis=0), tf.float32)
  is_flat = high <= low
  scale = 255.0 / tf.where(is_flat, tf.ones_like(low), high - low)
  # A flat channel stays as it is.
  scale = tf.where(is_flat, tf.ones_like(scale), scale)
  offset = tf.where(is_flat, tf.zeros_like(low), -low * scale)
  values = tf.cast(_values(), tf.float32)
  table = values * scale[:, tf.newaxis] + offset[:, tf.newaxis]
  return lookup.look_up(image, _to_uint8(table))


def equalize(image: tf.Tensor) -> tf.Tensor:
  """Flattens the histogram of each channel."""
  counts = lookup.histogram(image)
  total = tf.reduce_sum(counts, axis=1)
  # Count of the highest value that occurs.
  highest = tf.reduce_max(tf.cast(counts > 0, tf.int32) * _values(), axis=1)
  last = tf.reduce_sum(
    counts * tf.one_hot(highest, 256, dtype=tf.int32), axis=1
  )
  step = (total - last) // 255
  divisor = tf.maximum(step, 1)[:, tf.newaxis]
  below = tf.cumsum(counts, axis=1, exclusive=True)
  table = (below + divisor // 2) // divisor
  table = tf.minimum(table, 255)
  is_flat = tf.equal(step, 0)[:, tf.newaxis]
  keeps = tf.cast(is_flat, tf.int32)
  return lookup.look_up(image, keeps * _values() + (1 - keeps) * table)


def posterize(image: tf.Tensor, bits: _Number) -> tf.Tensor:
  """Keeps the highest `bits` bits of each value; at least one."""
  # No bits act as one: the original's shift of bytes stopped at 7.
  shift = tf.clip_by_value(8 - tf.cast(bits, tf.int32), 0, 7)
  values = tf.bitwise.right_shift(_values(), shift)
  return lookup.look_up(image, tf.bitwise.left_shift(values, shift))


def solarize(image: tf.Tensor, threshold: _Number = 128) -> tf.Tensor:
  """Inverts values from `threshold` on; 256 counts as 0, as a byte would."""
  threshold = tf.floormod(tf.cast(threshold, tf.int32), 256)
  values = _values()
  return lookup.look_up(
    image, tf.where(values < threshold, values, 255 - values)
  )


def solarize_add(
  image: tf.Tensor, addition: _Number = 0, threshold: int = 128
) -> tf.Tensor:
  """Adds to values below `threshold`."""
  values = _values()
  added = tf.clip_by_value(values + tf.cast(addition, tf.int32), 0, 255)
  return lookup.look_up(image, tf.where(values < threshold, added, values))


def color(image: tf.Tensor, factor: _Number) -> tf.Tensor:
  """Saturation: 0 is grey, 1 the image, above that more colourful."""
  channels = tf.cast(tf.reshape(image, [-1, 3]), tf.float32)
  # A product is the fastest way to have the grey in each channel.
  grey = tf.floor(tf.matmul(channels, tf.constant(_TO_GREY)))
  return tf.reshape(_blend(grey, channels, factor), tf.shape(image))


def contrast(image: tf.Tensor, factor: _Number) -> tf.Tensor:
  """Contrast against one grey: number of pixels / 256, at most 255.

  The grey is the original's, which averaged the counts of a histogram and not
  its values.
  """
  num_pixels = tf.cast(tf.size(image) // 3, tf.float32)
  grey = tf.floor(tf.minimum(num_pixels / 256.0, 255.0))
  return lookup.look_up(
    image, _blend(grey, tf.cast(_values(), tf.float32), factor)
  )


def brightness(image: tf.Tensor, factor: _Number) -> tf.Tensor:
  """Multiplies each value: 0 is black, 1 the image."""
  values = tf.cast(_values(), tf.float32)
  return lookup.look_up(image, _blend(tf.zeros_like(values), values, factor))


def sharpness(image: tf.Tensor, factor: _Number) -> tf.Tensor:
  """0 is smoothed, 1 the image, above that sharpened; the border stays.

  Smooth is the mean of 3x3 pixels, the middle one counted five times. Sums of
  whole numbers are exact: where 13 divides the sum, a value can be one above
  that of the original's convolution, which rounded on the way.
  """
  height, width = regions.image_size(image)
  rows = tf.cast(tf.reshape(image, [height, width * 3]), tf.float32)
  inner = rows[1:-1, 3:-3]
  three = rows[:-2] + rows[1:-1] + rows[2:]
  total = three[:, :-6] + three[:, 3:-3] + three[:, 6:] + 4.0 * inner
  blended = _blend(tf.floor(total / 13.0), inner, factor)
  inner_size = tf.maximum([height - 2, width - 2], 0)
  blended = tf.reshape(blended, tf.concat([inner_size, [3]], 0))
  middle = image[1:-1]
  # The first pixel of a single one is not repeated as the last.
  middle = tf.concat([middle[:, :1], blended, middle[:, 1:][:, -1:]], axis=1)
  sharpened = tf.concat([image[:1], middle, image[1:][-1:]], axis=0)
  sharpened.set_shape(image.shape)
  return sharpened
