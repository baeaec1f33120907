"""Preprocessing of images outside of the model."""

from typing import Any, NamedTuple, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import preprocess_ops
from utils import errors


class Prepared(NamedTuple):
  """One image as the network takes it.

  Attributes:
    pixels: float32 [padded height, padded width, 3], normalised.
    image_info: float32 [4, 2], see `preprocess_ops.ResizePlan`.
  """

  pixels: np.ndarray
  image_info: np.ndarray


class Preprocessor:
  """Resizes, normalises and pads; safe to call from several threads.

  Args:
    image_size: (height, width) into which images are fitted, pixels.
    padded_size: (height, width) of the result, pixels.
    image_fit: how they are, a key of `preprocess_ops.FITS`.
  """

  def __init__(
    self,
    image_size: Sequence[int],
    padded_size: Sequence[int],
    image_fit: str = preprocess_ops.WHOLE,
  ):
    with tf.Graph().as_default() as graph:
      self._image = tf.placeholder(tf.uint8, [None, None, 3])
      pixels, image_info = preprocess_ops.FITS[image_fit](
        self._image, image_size
      )
      pixels = preprocess_ops.pad_image(pixels, padded_size)
      self._prepared = Prepared(pixels, image_info)
    # Nobody is to see the memory of a GPU taken by this.
    self._session = tf.Session(
      graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
    )

  def prepare(self, image: np.ndarray) -> Prepared:
    """Prepares a uint8 image [height, width, 3], RGB."""
    return Prepared(*self._session.run(self._prepared, {self._image: image}))

  def image_info(self, image: np.ndarray) -> np.ndarray:
    """Returns the `image_info` of an image without resizing it."""
    return self._session.run(self._prepared.image_info, {self._image: image})


def check_image(image: Any) -> None:
  """Raises DataError unless an image is uint8 [height, width, 3], not empty."""
  shape: Tuple[int, ...] = np.shape(image)
  dtype = getattr(image, 'dtype', type(image).__name__)
  if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
    raise errors.DataError(
      'An image has to be uint8 [height, width, 3] with at least one pixel, '
      f'not {dtype} {list(shape)}.'
    )


def to_pixels(normalized: np.ndarray) -> np.ndarray:
  """Undoes the normalisation; uint8, rounded, what was padded: mean colour."""
  values = normalized * preprocess_ops.STDDEV_RGB + preprocess_ops.MEAN_RGB
  return np.clip(np.rint(255.0 * values), 0, 255).astype(np.uint8)
