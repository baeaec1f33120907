"""Inputs of a served model, and their preprocessing."""

from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from ops import image_decoding, preprocess_ops
from utils import errors, registry

Size = Tuple[int, int]

INPUT_TYPES = registry.Registry('input_type')
_ENCODED_KEY = 'image/encoded'
_RAW = 'raw_image_tensor'


class ServingInputs(NamedTuple):
  """The start of a serving graph.

  Attributes:
    placeholder: what is fed; its node is called `Placeholder`.
    images: float32 [batch, height, width, 3], normalised and padded.
    image_info: float32 [batch, 4, 2]: original size, desired size, scale and
      offset, each (y, x).
  """

  placeholder: tf.Tensor
  images: tf.Tensor
  image_info: tf.Tensor


class _Layout(NamedTuple):
  batch_size: Optional[int]
  image_size: Size
  padded_size: Size
  image_fit: str

  @property
  def dimension(self) -> int:
    return self.batch_size or -1


def check(
  input_type: str, batch_size: Optional[int], image_size: Size, stride: int
) -> None:
  """Raises ConfigError if `build` cannot work with such arguments."""
  INPUT_TYPES.get(input_type)
  if batch_size is not None and batch_size < 1:
    raise errors.ConfigError(
      f'batch_size: {batch_size} has to be at least 1, or -1 for any number '
      'of images.'
    )
  if min(image_size) < 1:
    raise errors.ConfigError(
      'input_image_size: {},{} has to be height,width in pixels, both at '
      'least 1.'.format(*image_size)
    )
  padded_size = preprocess_ops.padded_size(image_size, stride)
  if input_type == _RAW and tuple(image_size) != tuple(padded_size):
    raise errors.ConfigError(
      'input_image_size: {},{} does not suit input_type: {}, which pads '
      'nothing: both have to be multiples of {}. The next larger size is '
      '{},{}.'.format(*image_size, _RAW, stride, *padded_size)
    )


def build(
  input_type: str,
  batch_size: Optional[int],
  image_size: Size,
  padded_size: Size,
  image_fit: str = preprocess_ops.WHOLE,
) -> ServingInputs:
  """Adds placeholder and preprocessing to the default graph.

  Args:
    input_type: `raw_image_tensor`: float32 [batch, height, width, 3], which
      the caller has normalised. `image_tensor`: uint8, of the same shape.
      `image_bytes`: string [batch], each an encoded image of any size; JPEG
      images are turned upright by their EXIF orientation.
      `tf_example`: string [batch], each with a feature `image/encoded`.
    batch_size: images at once; None for any number.
    image_size: (height, width) in pixels that images are fitted into.
    padded_size: (height, width) of the network's image.
    image_fit: how encoded images are, a key of `preprocess_ops.FITS`.

  An image size that `check` refuses for `raw_image_tensor` is that of the image
  within a padded one.
  """
  make = INPUT_TYPES.get(input_type)
  return make(
    _Layout(batch_size, tuple(image_size), tuple(padded_size), image_fit)
  )


@INPUT_TYPES.register(_RAW)
def _raw_image_tensor(layout: _Layout) -> ServingInputs:
  images = tf.placeholder(
    tf.float32, [layout.batch_size, *layout.padded_size, 3], 'Placeholder'
  )
  info = _constant_info(images, layout, layout.padded_size)
  return ServingInputs(images, images, info)


@INPUT_TYPES.register('image_tensor')
def _image_tensor(layout: _Layout) -> ServingInputs:
  height, width = layout.image_size
  placeholder = tf.placeholder(
    tf.uint8, [layout.batch_size, height, width, 3], 'Placeholder'
  )
  # The size is the desired one, so that there is nothing to resize.
  rows = tf.reshape(tf.cast(placeholder, tf.float32), [-1, width, 3])
  images = tf.reshape(
    preprocess_ops.normalize_image(rows), [layout.dimension, height, width, 3]
  )
  below, right = (p - s for p, s in zip(layout.padded_size, layout.image_size))
  if below or right:
    images = tf.pad(images, [[0, 0], [0, below], [0, right], [0, 0]])
  info = _constant_info(placeholder, layout, layout.image_size)
  return ServingInputs(placeholder, images, info)


@INPUT_TYPES.register('image_bytes')
def _image_bytes(layout: _Layout) -> ServingInputs:
  placeholder = tf.placeholder(tf.string, [layout.batch_size], 'Placeholder')
  return ServingInputs(placeholder, *_decode_batch(placeholder, layout, True))


@INPUT_TYPES.register('tf_example')
def _tf_example(layout: _Layout) -> ServingInputs:
  placeholder = tf.placeholder(tf.string, [layout.batch_size], 'Placeholder')
  features = tf.io.parse_example(
    placeholder, {_ENCODED_KEY: tf.FixedLenFeature([], tf.string, '')}
  )
  encoded = features[_ENCODED_KEY]
  return ServingInputs(placeholder, *_decode_batch(encoded, layout))


def _decode_batch(
  encoded: tf.Tensor, layout: _Layout, turn_upright: bool = False
) -> Tuple[tf.Tensor, tf.Tensor]:
  def process(encoded_image):
    image = image_decoding.decode_image(
      encoded_image, first_frame_only=True, turn_upright=turn_upright
    )
    fit = preprocess_ops.FITS[layout.image_fit]
    image, image_info = fit(image, layout.image_size)
    return preprocess_ops.pad_image(image, layout.padded_size), image_info

  if layout.batch_size == 1:
    # Without a loop.
    images, image_info = process(tf.squeeze(encoded, axis=0))
  else:
    images, image_info = tf.map_fn(
      process, encoded, dtype=(tf.float32, tf.float32), back_prop=False
    )
  # Unlike a shape that is set, one that is computed is part of a saved graph.
  return (
    tf.reshape(images, [layout.dimension, *layout.padded_size, 3]),
    tf.reshape(image_info, [layout.dimension, 4, 2]),
  )


def _constant_info(images: tf.Tensor, layout: _Layout, size: Size) -> tf.Tensor:
  rows = [size, layout.image_size, (1, 1), (0, 0)]
  info = tf.constant([rows], tf.float32)
  batch_size = layout.batch_size or tf.shape(images)[0]
  return tf.tile(info, [batch_size, 1, 1])
