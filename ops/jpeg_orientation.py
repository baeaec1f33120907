"""EXIF orientation of JPEG images, within a graph."""

from typing import Callable

import tensorflow.compat.v1 as tf

_TAG = 0x0112
_ENTRY_BYTES = 12
# Where cameras write it: cheap to look through, whatever the image's size.
_HEAD_BYTES = 1 << 18
_MAX_SEGMENTS = 64
_MAX_ENTRIES = 512


def read_orientation(encoded: tf.Tensor) -> tf.Tensor:
  """Reads EXIF's orientation of a JPEG image.

  Args:
    encoded: scalar string, the content of any file.

  Returns:
    Scalar int32 from 1 to 8; 1, upright, where there is none (EXIF 2.3,
    section 4.6.4 A).
  """
  head = tf.decode_raw(tf.strings.substr(encoded, 0, _HEAD_BYTES), tf.uint8)
  # What is beyond the end reads as zero.
  head = tf.cast(tf.concat([head, [0]], 0), tf.int32)

  def number(position, num_bytes: int, is_little=False):
    """Unsigned numbers at positions, int32."""
    places = tf.range(num_bytes)
    powers = 256 ** tf.where(is_little, places, places[::-1])
    places = tf.expand_dims(position, -1) + places
    in_head = tf.clip_by_value(places, 0, tf.size(head) - 1)
    return tf.reduce_sum(tf.gather(head, in_head) * powers, -1)

  def is_exif(position):
    return tf.equal(number(position, 2), 0xFFE1) & tf.equal(
      number(position + 4, 4), 0x45786966
    )

  def is_other_metadata(position):
    return (number(position, 2) >= 0xFFE0) & ~is_exif(position)

  segment = tf.while_loop(
    is_other_metadata,
    lambda position: position + 2 + number(position + 2, 2),
    [tf.constant(2)],
    back_prop=False,
    maximum_iterations=_MAX_SEGMENTS,
  )
  start = segment + 10
  is_little = tf.equal(number(start, 2), 0x4949)
  directory = start + number(start + 4, 4, is_little)
  count = tf.minimum(number(directory, 2, is_little), _MAX_ENTRIES)
  entries = directory + 2 + _ENTRY_BYTES * tf.range(count)
  has_tag = tf.equal(number(entries, 2, is_little), _TAG)
  # A zero behind the last one, for where there is none.
  values = tf.concat([number(entries + 8, 2, is_little), [0]], 0)
  value = values[tf.argmax(tf.cast(tf.concat([has_tag, [True]], 0), tf.int32))]
  is_jpeg = tf.equal(number(0, 2), 0xFFD8) & is_exif(segment)
  return tf.where(is_jpeg & (value >= 1) & (value <= 8), value, 1)


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Turns [height, width, 3] stored pixels as EXIF's orientation says."""

  def change_if(
    orientations, change: Callable[[tf.Tensor], tf.Tensor], pixels: tf.Tensor
  ) -> tf.Tensor:
    is_due = tf.reduce_any(tf.equal(orientation, orientations))
    return tf.cond(is_due, lambda: change(pixels), lambda: pixels)

  image = change_if(
    [5, 6, 7, 8], lambda pixels: tf.transpose(pixels, [1, 0, 2]), image
  )
  image = change_if([2, 3, 6, 7], lambda pixels: pixels[:, ::-1], image)
  return change_if([3, 4, 7, 8], lambda pixels: pixels[::-1], image)
