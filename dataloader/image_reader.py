"""Encoded images of any kind to the pixels that a detector takes."""

import io
from typing import Callable, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image, ImageFile, ImageOps

from ops import image_decoding
from utils import errors

# The sizes of images are checked here.
Image.MAX_IMAGE_PIXELS = None

_ORIENTATION = 0x0112
_DEEP_MODES = ('I', 'I;16', 'I;16B', 'I;16L', 'I;16N')
# Cameras write stereo JPEGs as MPO, which starts as a plain JPEG.
_JPEG_FORMATS = ('JPEG', 'MPO')
_FORMATS_OF_TRAINING = (*_JPEG_FORMATS, 'PNG', 'BMP', 'GIF')


class Picture(NamedTuple):
  """A decoded image.

  Attributes:
    pixels: uint8 [height, width, 3], RGB.
    note: what a person should know about the decoding, or ''.
  """

  pixels: np.ndarray
  note: str = ''


class Opened(NamedTuple):
  """An image whose header is read.

  Attributes:
    num_pixels: height times width.
    decode: reads the pixels; raises DataError if that is impossible.
  """

  num_pixels: int
  decode: Callable[[], Picture]


class Decoder:
  """Decodes images; safe to call from several threads.

  A JPEG that needs no more than decoding gets the very pixels that training
  and evaluation see. As there, transparency is dropped. 16 bits are scaled to
  8, and of an animation the first frame is taken.

  Args:
    max_pixels: larger images are refused before they are decoded.
    bound_name: what the user knows that bound by, if anything.
  """

  def __init__(self, max_pixels: int, bound_name: str = ''):
    self._max_pixels = max_pixels
    self._bound_name = bound_name
    with tf.Graph().as_default() as graph:
      self._encoded = tf.placeholder(tf.string, [])
      self._decoded = image_decoding.decode_image(self._encoded)
    self._session = tf.Session(
      graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
    )

  def open(self, encoded: bytes, as_in_training: bool = False) -> Opened:
    """Reads the header of an image.

    Args:
      encoded: content of an image file.
      as_in_training: take the pixels as they are stored, as training does,
        whose boxes refer to them; otherwise an image that EXIF says is rotated
        is turned upright.

    Raises:
      DataError: it is no image, damaged, or too large.
    """
    with _explaining():
      image = Image.open(io.BytesIO(encoded))
    width, height = image.size
    if width * height > self._max_pixels:
      raise errors.DataError(
        'too large: {} x {} pixels (width x height) are more than {:,}'
        '{}'.format(
          width,
          height,
          self._max_pixels,
          self._bound_name and ' ({})'.format(self._bound_name),
        )
      )

    def decode() -> Picture:
      with _explaining(), image:
        if _is_plain(image, as_in_training):
          return Picture(self._decode_as_in_training(encoded))
        return _convert(image, not as_in_training)

    return Opened(width * height, decode)

  def _decode_as_in_training(self, encoded: bytes) -> np.ndarray:
    try:
      return self._session.run(self._decoded, {self._encoded: encoded})
    except tf.errors.OpError as error:
      raise errors.DataError('damaged image, or cut off') from error


class _explaining:
  """Turns whatever Pillow raises into a DataError."""

  def __enter__(self):
    return self

  def __exit__(self, error_type, error, traceback):
    if not isinstance(error, Exception) or isinstance(error, errors.DataError):
      return
    if isinstance(error, Image.UnidentifiedImageError):
      raise errors.DataError('not an image, or of an unknown kind') from error
    # Damage can show as any exception: OSError, but also IndexError, zlib's
    # or struct's error, depending on the format.
    raise errors.DataError('cannot be decoded: {}'.format(error)) from error


def _orientation(image: Image.Image) -> int:
  try:
    return image.getexif().get(_ORIENTATION, 1)
  except Exception:  # Damaged metadata do not spoil the pixels.
    return 1


def _is_plain(image: ImageFile.ImageFile, as_in_training: bool) -> bool:
  """Whether TensorFlow gives the pixels that are wanted."""
  if as_in_training:
    return (
      image.format in _FORMATS_OF_TRAINING
      and image.mode != 'CMYK'
      and (image.format in _JPEG_FORMATS or getattr(image, 'n_frames', 1) == 1)
    )
  return (
    image.format in _JPEG_FORMATS
    and image.mode in ('RGB', 'L')
    and _orientation(image) == 1
  )


def _convert(image: ImageFile.ImageFile, turn_upright: bool) -> Picture:
  notes = []
  num_frames = getattr(image, 'n_frames', 1)
  if num_frames > 1 and image.format not in _JPEG_FORMATS:
    notes.append('first of {} frames'.format(num_frames))
  if turn_upright and _orientation(image) != 1:
    notes.append('turned upright')
    image = ImageOps.exif_transpose(image)
  if image.mode in _DEEP_MODES:
    notes.append('16 bits scaled to 8')
    pixels = _scale_16_bits(image)
  elif image.mode == 'F':
    raise errors.DataError('pixels are floating point numbers')
  else:
    pixels = np.array(image.convert('RGB'))
  return Picture(pixels, ', '.join(notes))


def _scale_16_bits(image: Image.Image) -> np.ndarray:
  values = np.asarray(image)
  if values.min() < 0 or values.max() > 65535:
    raise errors.DataError('pixels of more than 16 bits')
  # 65535 becomes 255.
  grey = np.rint(values / np.float32(257)).astype(np.uint8)
  return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
