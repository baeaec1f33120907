"""Looks at encoded images before the model has to decode them."""

import io
import warnings
from typing import Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image, ImageOps

from executor.serving.limits import RequestError

# What TensorFlow decodes.
SERVED_FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP')
_ENCODED_KEY = 'image/encoded'


def check_example(value: bytes, input_type: str, max_pixels: int) -> bytes:
  """Checks one string example of a model.

  Args:
    value: an encoded image, or a tf.Example that holds one.
    input_type: `image_bytes` or `tf_example`.
    max_pixels: bound of height x width.

  Returns:
    What to feed: the value; of an animation, its first frame alone.

  Raises:
    RequestError: 400, with the reason.
  """
  if input_type == 'image_bytes':
    return _check_encoded(value, max_pixels)
  try:
    example = tf.train.Example.FromString(value)
    images = example.features.feature[_ENCODED_KEY].bytes_list.value
    encoded = images[0]
  except Exception as error:  # DecodeError, IndexError
    raise RequestError(
      400, 'An example is no tf.Example with the feature image/encoded.'
    ) from error
  checked = _check_encoded(encoded, max_pixels)
  if checked is encoded:
    return value
  images[0] = checked
  return example.SerializeToString()


def open_header(
  encoded: bytes,
  max_pixels: int,
  formats: Optional[Sequence[str]] = None,
) -> Image.Image:
  """Opens an image without decoding its pixels.

  Args:
    encoded: the file.
    max_pixels: bound of height x width.
    formats: names in Pillow of those that are read; None: all.

  Raises:
    RequestError: 400: it is no image, or too large.
  """
  try:
    with warnings.catch_warnings():
      # Pillow's own bound; ours is below.
      warnings.simplefilter('ignore', Image.DecompressionBombWarning)
      image = Image.open(io.BytesIO(encoded), formats=formats)
  except Image.DecompressionBombError as error:
    raise RequestError(
      400, 'The image is too large. {}'.format(error)
    ) from error
  # Parsers of broken files raise what they stumble over.
  except Exception as error:
    raise RequestError(
      400,
      'The {} bytes that came are no image that can be read. {} are.'.format(
        len(encoded), ', '.join(formats or ('Common formats',))
      ),
    ) from error
  if image.width * image.height > max_pixels:
    raise RequestError(
      400,
      'The image is too large: {} x {} pixels are {:,}; the server takes at '
      'most {:,}. Make it smaller.'.format(
        image.width, image.height, image.width * image.height, max_pixels
      ),
    )
  return image


def decode(encoded: bytes, max_pixels: int) -> np.ndarray:
  """Decodes a photograph the way a browser shows it: upright, first frame.

  Args:
    encoded: JPEG, PNG or another common format.
    max_pixels: bound of height x width.

  Returns:
    uint8 [height, width, 3], RGB.

  Raises:
    RequestError: 400, with the reason.
  """
  image = open_header(encoded, max_pixels)
  try:
    return np.array(ImageOps.exif_transpose(image).convert('RGB'))
  except Exception as error:
    raise _broken(image, error) from error


def _check_encoded(encoded: bytes, max_pixels: int) -> bytes:
  image = open_header(encoded, max_pixels, SERVED_FORMATS)
  # TensorFlow would decode all frames, whose sizes the header does not bound.
  try:
    if image.format != 'GIF' or not image.is_animated:
      return encoded
    image.seek(0)
    first_frame = io.BytesIO()
    image.convert('RGB').save(first_frame, 'BMP')
  except Exception as error:
    raise _broken(image, error) from error
  return first_frame.getvalue()


def _broken(image: Image.Image, error: Exception) -> RequestError:
  return RequestError(
    400, 'The {} image is broken: {}.'.format(image.format, error)
  )
