"""Looks at encoded images before the model has to decode them."""

import io

import tensorflow.compat.v1 as tf
from PIL import Image

from executor.serving.limits import RequestError

# The sizes of images are checked here.
Image.MAX_IMAGE_PIXELS = None

# What TensorFlow decodes.
_FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP')
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


def _open(encoded: bytes, max_pixels: int) -> Image.Image:
  """Reads the header of an image, not its pixels."""
  try:
    image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
  # Parsers raise what they stumble over.
  except Exception as error:
    raise RequestError(
      400,
      'The {} bytes that came are no image that the model can decode. It '
      'takes {}.'.format(len(encoded), ', '.join(_FORMATS)),
    ) from error
  if image.width * image.height > max_pixels:
    raise RequestError(
      400,
      'The image is too large: {} x {} pixels (width x height) are more than '
      '{:,}. Make it smaller.'.format(image.width, image.height, max_pixels),
    )
  return image


def _check_encoded(encoded: bytes, max_pixels: int) -> bytes:
  image = _open(encoded, max_pixels)
  # TensorFlow would decode all frames, whose sizes the header does not bound.
  try:
    if image.format != 'GIF' or not image.is_animated:
      return encoded
    first_frame = io.BytesIO()
    image.convert('RGB').save(first_frame, 'BMP')
  except Exception as error:
    raise _broken(image, error) from error
  return first_frame.getvalue()


def _broken(image: Image.Image, error: Exception) -> RequestError:
  return RequestError(
    400, 'The {} image is broken: {}.'.format(image.format, error)
  )
