"""Resizing, cropping, normalisation and padding of images."""

import math
import sys
from typing import Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import crop_windows

# Mean and standard deviation of ImageNet's RGB channels, of values in [0, 1].
MEAN_RGB = np.float32([0.485, 0.456, 0.406])
STDDEV_RGB = np.float32([0.229, 0.224, 0.225])


class ResizePlan(NamedTuple):
  """How an image is scaled and then cropped; all (y, x).

  Attributes:
    scaled_size: int32 [2], size of the scaled image in pixels.
    scale: float32 [2], scaled size / original size.
    offset: float32 [2], first row and column of the crop, whole numbers.
    image_info: float32 [4, 2]: original size, desired size, scale, offset.
  """

  scaled_size: tf.Tensor
  scale: tf.Tensor
  offset: tf.Tensor
  image_info: tf.Tensor


def padded_size(desired_size: Sequence[int], stride: int) -> Tuple[int, int]:
  """The smallest (height, width), at least as desired, divisible by stride."""
  height, width = (int(math.ceil(s / stride) * stride) for s in desired_size)
  return height, width


def plan_resize(
  image_size: tf.Tensor,
  desired_size: Sequence[int],
  scale_range: Tuple[float, float] = (1.0, 1.0),
  draws: Optional[tf.Tensor] = None,
  enlarges: bool = True,
) -> ResizePlan:
  """Plans to fit an image into the desired size, keeping its aspect ratio.

  With scale jitter (Singh and Davis, arXiv:1711.08189) the image is fitted into
  a size drawn from `scale_range` times the desired one, and a window of at most
  the desired size is cropped at a random place.

  Args:
    image_size: float32 [2], (height, width) of the image.
    desired_size: (height, width) in pixels.
    scale_range: (1.0, 1.0) for no jitter.
    draws: float32 [3], uniform in [0, 1), independent: of the scale and of the
      crop's y and x. Only for jitter.
    enlarges: whether an image that is smaller becomes larger.
  """
  desired = tf.constant(desired_size, tf.float32)
  target = desired
  jitters = tuple(scale_range) != (1.0, 1.0)
  if jitters:
    low, high = scale_range
    target = tf.round((low + draws[0] * (high - low)) * desired)
  factor = tf.reduce_min(target / image_size)
  if not enlarges:
    factor = tf.minimum(factor, 1.0)
  scaled_size = tf.round(image_size * factor)
  # Of a picture that is very long, the short side would be none.
  scaled_size = tf.maximum(scaled_size, 1.0)
  scale = scaled_size / image_size
  offset = tf.zeros([2])
  if jitters:
    offset = tf.floor(tf.maximum(scaled_size - desired, 0.0) * draws[1:])
  return ResizePlan(
    tf.cast(scaled_size, tf.int32),
    scale,
    offset,
    tf.stack([image_size, desired, scale, offset]),
  )


def normalize_image(image: tf.Tensor) -> tf.Tensor:
  """Shifts and scales the channels by ImageNet's mean and deviation.

  Args:
    image: [height, width, 3], RGB; float32 from 0 to 255.

  Returns:
    float32 [height, width, 3].
  """
  # Broadcasting whole rows is several times faster than 3 channels.
  shape = tf.shape(image)
  rows = tf.reshape(image, [shape[0], shape[1] * 3])
  rows *= tf.tile(1.0 / (255.0 * STDDEV_RGB), shape[1:2])
  rows -= tf.tile(MEAN_RGB / STDDEV_RGB, shape[1:2])
  return tf.reshape(rows, shape)


def _resize(image: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Bilinear, float32; aligned at the first row and column only (TF 1)."""

  def resize(source):
    return tf.image.resize_bilinear(source[tf.newaxis], size)[0]

  if image.dtype == tf.float32:
    return resize(image)
  # Resizing is faster from float32, but an image that does not grow is not
  # worth the time and memory of a conversion.
  return tf.cond(
    tf.reduce_prod(tf.shape(image)[:2]) >= tf.reduce_prod(size),
    lambda: resize(image),
    lambda: resize(tf.cast(image, tf.float32)),
  )


def resize_crop(
  image: tf.Tensor, plan: ResizePlan, desired_size: Sequence[int]
) -> tf.Tensor:
  """Carries out a plan.

  Args:
    image: [height, width, 3], RGB from 0 to 255, any dtype.
    plan: of `plan_resize`, for this image.
    desired_size: (height, width) of the plan.

  Returns:
    float32 [h, w, 3], from 0 to 255, h and w at most the desired size.
  """
  image = _resize(image, plan.scaled_size)
  # Of a matrix, whole rows are copied at once.
  rows = tf.reshape(image, [-1, plan.scaled_size[1] * 3])
  size = tf.minimum(plan.scaled_size, desired_size)
  pixel = tf.constant([1, 3])
  rows = tf.slice(rows, tf.cast(plan.offset, tf.int32) * pixel, size * pixel)
  return tf.reshape(rows, tf.concat([size, [3]], axis=0))


def resize_crop_normalize(
  image: tf.Tensor, plan: ResizePlan, desired_size: Sequence[int]
) -> tf.Tensor:
  """As `resize_crop`, and normalises the pixels."""
  return normalize_image(resize_crop(image, plan, desired_size))


def stretch_normalize(image: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
  """Resizes without regard to the aspect ratio, and normalises the pixels.

  Args:
    image: [height, width, 3], RGB from 0 to 255, any dtype.
    size: (height, width) in pixels.

  Returns:
    float32 [*size, 3].
  """
  image = normalize_image(_resize(image, tf.constant(size)))
  image.set_shape([*size, 3])
  return image


# An image [height, width, 3] and a size to the normalised image, float32
# [h, w, 3], h and w at most the size; and its `image_info`, float32 [4, 2].
Fit = Callable[[tf.Tensor, Sequence[int]], Tuple[tf.Tensor, tf.Tensor]]


def fit_whole(
  image: tf.Tensor, size: Sequence[int]
) -> Tuple[tf.Tensor, tf.Tensor]:
  """All of the image at its aspect ratio, as detectors see it; a `Fit`."""
  plan = plan_resize(tf.cast(tf.shape(image)[:2], tf.float32), size)
  return resize_crop_normalize(image, plan, size), plan.image_info


def fit_center(
  image: tf.Tensor, size: Sequence[int]
) -> Tuple[tf.Tensor, tf.Tensor]:
  """The central square, stretched, as classifiers see it; a `Fit`."""
  image_size = tf.shape(image)[:2]
  window = crop_windows.central_window(image_size)
  start, sides = tf.unstack(
    tf.cast(tf.reshape(window, [2, 2]), tf.float32), num=2
  )
  desired = tf.constant(size, tf.float32)
  scale = desired / sides
  info = [tf.cast(image_size, tf.float32), desired, scale, start * scale]
  cropped = crop_windows.crop(image, window)
  return stretch_normalize(cropped, size), tf.stack(info)


WHOLE, CENTER = 'whole', 'center'
FITS: Dict[str, Fit] = {WHOLE: fit_whole, CENTER: fit_center}


def to_bfloat16(image: tf.Tensor) -> tf.Tensor:
  """As tf.cast, at a third of its time; ties are rounded away from zero.

  Args:
    image: float32, finite, any shape.
  """
  # A bfloat16 is the upper half of a float32.
  bits = tf.bitcast(image, tf.int32) + 2**15
  halves = tf.reshape(tf.bitcast(bits, tf.uint16), [-1, 2])
  upper = halves[:, 1 if sys.byteorder == 'little' else 0]
  return tf.reshape(tf.bitcast(upper, tf.bfloat16), tf.shape(image))


def pad_image(image: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
  """Adds zeros below and to the right; [h, w, c] to [size[0], size[1], c]."""
  height, width = tf.unstack(tf.shape(image)[:2], num=2)
  channels = image.shape.as_list()[2]
  # Concatenation copies rows as a whole, which tf.pad does not.
  right = tf.zeros([height, size[1] - width, channels], image.dtype)
  below = tf.zeros([size[0] - height, size[1], channels], image.dtype)
  image = tf.concat([tf.concat([image, right], axis=1), below], axis=0)
  image.set_shape([size[0], size[1], channels])
  return image
