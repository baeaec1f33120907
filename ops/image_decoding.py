"""Encoded images to pixels."""

from typing import Callable

import tensorflow.compat.v1 as tf

from ops import crop_windows, jpeg_orientation


def decode_image(
  encoded: tf.Tensor,
  first_frame_only: bool = False,
  turn_upright: bool = False,
) -> tf.Tensor:
  """Decodes a JPEG, PNG, BMP or GIF image.

  Args:
    encoded: scalar string.
    first_frame_only: take the first frame of an animated GIF; otherwise it is
      an error.
    turn_upright: turn a JPEG as its EXIF orientation says; otherwise pixels
      are as they are stored, which the boxes of records refer to.

  Returns:
    uint8 [height, width, 3]; grey is repeated and transparency dropped. At
    run time, InvalidArgumentError for anything else.
  """

  def bmp():
    # The zeros repeat grey.
    return tf.image.decode_bmp(encoded)[:, :, :3] + tf.zeros([3], tf.uint8)

  def jpeg_or_png():
    # This one operation reads JPEG, PNG and GIF of a single frame.
    return tf.image.decode_jpeg(encoded, channels=3)

  def starts_with(magic):
    return tf.equal(tf.strings.substr(encoded, 0, len(magic)), magic)

  def other_than_bmp():
    if not first_frame_only:
      return jpeg_or_png()
    return tf.cond(
      starts_with('GIF'),
      lambda: tf.image.decode_gif(encoded)[0],
      jpeg_or_png,
    )

  image = tf.cond(starts_with('BM'), bmp, other_than_bmp)
  if turn_upright:
    orientation = jpeg_orientation.read_orientation(encoded)
    image = jpeg_orientation.turn_upright(image, orientation)
  image.set_shape([None, None, 3])
  return image


def decode_window(
  encoded: tf.Tensor,
  choose_window: Callable[[tf.Tensor], crop_windows.Window],
) -> tf.Tensor:
  """Decodes a part of an image; of a JPEG, only that part.

  Args:
    encoded: scalar string, as `decode_image` takes it.
    choose_window: of the image's size, int32 [2], height and width.

  Returns:
    uint8 [height, width, 3].
  """

  def of_jpeg():
    size = tf.image.extract_jpeg_shape(encoded)[:2]
    window = choose_window(size)
    return tf.image.decode_and_crop_jpeg(encoded, window, channels=3)

  def of_other():
    image = decode_image(encoded)
    window = choose_window(tf.shape(image)[:2])
    return crop_windows.crop(image, window)

  image = tf.cond(tf.image.is_jpeg(encoded), of_jpeg, of_other)
  image.set_shape([None, None, 3])
  return image
