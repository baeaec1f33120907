"""Tables for pixel values, applied two bytes at a time.

TensorFlow has no fast operation for it: a gather costs nanoseconds for each
element. Two neighbouring bytes taken as one 16-bit number halve the elements.
"""

import numpy as np
import tensorflow.compat.v1 as tf

# Bytes of a row of the reshaped image. A multiple of 6: each row begins with
# the two bytes of channels 0 and 1. Long, as rows are added at once.
_ROW = 384
# Pairs of bytes begin with channel 0, 2, 1, 0, 2, 1 ...
_FIRST_CHANNEL, _SECOND_CHANNEL = (0, 2, 1), (1, 0, 2)
_NUM_PAIRS = 2**16


def histogram(image: tf.Tensor) -> tf.Tensor:
  """How often each value occurs in each channel.

  Args:
    image: uint8 [height, width, 3].

  Returns:
    int32 [3, 256].
  """
  counts = tf.math.bincount(
    _pairs(image, by_channel=True),
    minlength=3 * _NUM_PAIRS,
    maxlength=3 * _NUM_PAIRS,
  )
  counts = tf.reshape(counts, [3, 256, 256])
  # The first byte is the lower one, as on every machine that this runs on.
  first = tf.gather(tf.reduce_sum(counts, axis=1), np.argsort(_FIRST_CHANNEL))
  second = tf.gather(tf.reduce_sum(counts, axis=2), np.argsort(_SECOND_CHANNEL))
  # What fills the last row up is zeros, the same number for each channel.
  num_added = _num_missing(image) // 3
  return first + second - tf.one_hot(0, 256, num_added, 0)


def look_up(image: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
  """Replaces each value v by `table[v]`.

  Args:
    image: uint8 [height, width, 3].
    table: integers from 0 to 255, [256], or [3, 256] with one row for each
      channel.

  Returns:
    uint8, as `image`.
  """
  table = tf.cast(table, tf.int32)
  by_channel = table.shape.ndims == 2
  first = tf.gather(table, _FIRST_CHANNEL) if by_channel else table
  second = tf.gather(table, _SECOND_CHANNEL) if by_channel else table
  # As in `histogram`: the first byte is the lower one.
  pairs = second[..., tf.newaxis] * 256 + first[..., tf.newaxis, :]
  pairs = tf.cast(tf.reshape(pairs, [-1]), tf.uint16)
  found = tf.gather(pairs, _pairs(image, by_channel))
  found = tf.reshape(tf.bitcast(found, tf.uint8), [-1])
  found = tf.reshape(found[: tf.size(image)], tf.shape(image))
  found.set_shape(image.shape)
  return found


def _num_missing(image: tf.Tensor) -> tf.Tensor:
  """Bytes by which the last row is too short."""
  return tf.floormod(-tf.size(image), _ROW)


def _pairs(image: tf.Tensor, by_channel: bool) -> tf.Tensor:
  """Each two bytes as a number, int32 [n].

  Args:
    image: uint8 [height, width, 3].
    by_channel: whether to add 2^16 times the position among those of
      `_FIRST_CHANNEL`.
  """
  flat = tf.concat(
    [tf.reshape(image, [-1]), tf.zeros([_num_missing(image)], tf.uint8)], axis=0
  )
  pairs = tf.bitcast(tf.reshape(flat, [-1, _ROW // 2, 2]), tf.uint16)
  pairs = tf.cast(pairs, tf.int32)
  if by_channel:
    pairs += np.tile(np.int32([0, 1, 2]) * _NUM_PAIRS, _ROW // 6)
  return tf.reshape(pairs, [-1])
