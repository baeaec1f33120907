"""Encoded images of any kind to the pixels that a detector takes."""

import io
import struct
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image, ImageFile, ImageOps

from ops import image_decoding
from utils import errors

# The sizes of images are checked here.
Image.MAX_IMAGE_PIXELS = None

_ORIENTATION = 0x0112
_DEEP_MODES = ('I', 'I;16', 'I;16B', 'I;16L', 'I;16N')
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error)


class Picture(NamedTuple):
  """A decoded image.

  Attributes:
    pixels: uint8 [height, width, 3], RGB, upright.
    note: what a person should know about the decoding, or ''.
  """

  pixels: np.ndarray
  note: str = ''


class Decoder:
  """Decodes images; safe to call from several threads.

  A JPEG that needs no more than decoding gets the very pixels that training
  and evaluation see. As there, transparency is dropped. Images that EXIF says
  are rotated are turned upright, 16 bits are scaled to 8, and of an animation
  the first frame is taken.

  Args:
    max_pixels: larger images are refused before they are decoded.
  """

  def __init__(self, max_pixels: int):
    self._max_pixels = max_pixels
    with tf.Graph().as_default() as graph:
      self._encoded = tf.placeholder(tf.string, [])
      self._decoded = image_decoding.decode_image(self._encoded)
    self._session = tf.Session(
      graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
    )

  def decode(self, encoded: bytes) -> Picture:
    """Decodes the content of an image file.

    Raises:
      DataError: it is no image, damaged, of a kind that is not supported, or
        too large.
    """
    try:
      with Image.open(io.BytesIO(encoded)) as image:
        self._check_size(image)
        if _is_plain_jpeg(image):
          return Picture(self._decode_as_in_training(encoded))
        return _convert(image)
    except errors.DataError:
      raise
    except Image.UnidentifiedImageError as error:
      raise errors.DataError('not an image, or of an unknown kind') from error
    except _PILLOW_ERRORS as error:
      raise errors.DataError('damaged image: {}'.format(error)) from error

  def _check_size(self, image: Image.Image) -> None:
    width, height = image.size
    if width * height > self._max_pixels:
      raise errors.DataError(
        'too large: {} x {} pixels (width x height) are more than {:,}'.format(
          width, height, self._max_pixels
        )
      )

  def _decode_as_in_training(self, encoded: bytes) -> np.ndarray:
    try:
      return self._session.run(self._decoded, {self._encoded: encoded})
    except tf.errors.InvalidArgumentError as error:
      raise errors.DataError('damaged JPEG') from error


def _is_plain_jpeg(image: ImageFile.ImageFile) -> bool:
  return (
    image.format == 'JPEG'
    and image.mode in ('RGB', 'L')
    and image.getexif().get(_ORIENTATION, 1) == 1
  )


def _convert(image: ImageFile.ImageFile) -> Picture:
  notes = []
  num_frames = getattr(image, 'n_frames', 1)
  if num_frames > 1:
    notes.append('first of {} frames'.format(num_frames))
  if image.getexif().get(_ORIENTATION, 1) != 1:
    notes.append('turned upright')
  upright = ImageOps.exif_transpose(image)
  if upright.mode in _DEEP_MODES:
    notes.append('16 bits scaled to 8')
    pixels = _scale_16_bits(upright)
  elif upright.mode == 'F':
    raise errors.DataError('pixels are floating point numbers')
  else:
    pixels = np.array(upright.convert('RGB'))
  return Picture(pixels, ', '.join(notes))


def _scale_16_bits(image: Image.Image) -> np.ndarray:
  values = np.asarray(image).astype(np.int64)
  if values.min() < 0 or values.max() > 65535:
    raise errors.DataError('pixels of more than 16 bits')
  # 65535 becomes 255.
  grey = np.rint(values / 257.0).astype(np.uint8)
  return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
