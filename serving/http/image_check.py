"""Check of encoded images before they are decoded."""

import io

import tensorflow.compat.v1 as tf
from PIL import Image

from dataloader import image_reader
from serving.http.request_limits import RequestError
from utils import errors

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
    image = image_reader.open_header(encoded)
  except errors.DataError:
    image = None
  if image is None or image.format not in image_reader.FORMATS_OF_TRAINING:
    raise RequestError(
      400,
      'The {} bytes that came are no image that the model can decode. It '
      'takes {}.'.format(
        len(encoded), ', '.join(image_reader.FORMATS_OF_TRAINING)
      ),
    )
  if image.width * image.height > max_pixels:
    raise RequestError(
      400,
      f'The image is too large: {image.width} x {image.height} pixels (width '
      f'x height) are more than {max_pixels:,}. Make it smaller.',
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
    raise RequestError(
      400, f'The {image.format} image is broken: {error}.'
    ) from error
  return first_frame.getvalue()
