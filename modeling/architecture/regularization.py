"""Regularisation inside the network: dropout, DropBlock and drop-connect.

All are the identity outside training.
"""

from typing import Optional

import tensorflow.compat.v1 as tf

from modeling.training import step_randomness
from utils import errors


class DropBlock:
  """Drops square patches of a feature map (Ghiasi et al., arXiv:1810.12890).

  Args:
    keep_prob: share of activations to keep; None or 1.0 is the identity.
    size: side of a patch in feature-map cells, at most the map's sides.
  """

  def __init__(
    self, keep_prob: Optional[float] = None, size: Optional[int] = None
  ):
    if keep_prob is not None and not 0.0 < keep_prob <= 1.0:
      raise errors.ConfigError(
        f'dropblock.dropblock_keep_prob: {keep_prob} is outside (0, 1].'
      )
    if keep_prob not in (None, 1.0) and not (size and size > 0):
      raise errors.ConfigError(
        f'dropblock.dropblock_size: {size!r} has to be a positive number of '
        'cells where dropblock.dropblock_keep_prob is set.'
      )
    self._keep_prob = keep_prob
    self._size = size

  def __call__(self, features: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Returns [batch, height, width, channels] with patches zeroed.

    Height, width and channels have to be static; the batch may be dynamic.

    Raises:
      ConfigError: a patch does not fit into the map.
    """
    if not is_training or self._keep_prob in (None, 1.0):
      return features
    height, width, channels = features.shape.as_list()[1:]
    size = self._size
    if size > min(height, width):
      raise errors.ConfigError(
        f'dropblock.dropblock_size: {size} is larger than the feature map of '
        f'{height} x {width} cells (height x width) at {features.op.name}. '
        'Use a smaller size or larger images.'
      )
    seed_rate = (
      (1.0 - self._keep_prob)
      * (height * width)
      / size**2
      / ((height - size + 1) * (width - size + 1))
    )
    row = tf.range(height)[:, tf.newaxis]
    column = tf.range(width)[tf.newaxis, :]
    is_centre = (
      (row >= size // 2)
      & (row < height - (size - 1) // 2)
      & (column >= size // 2)
      & (column < width - (size - 1) // 2)
    )
    noise = step_randomness.uniform(
      tf.stack([tf.shape(features)[0], height, width, channels])
    )
    is_seed = is_centre[tf.newaxis, :, :, tf.newaxis] & (noise < seed_rate)
    dropped = tf.nn.max_pool2d(
      tf.cast(is_seed, tf.float32), ksize=size, strides=1, padding='SAME'
    )
    mask = 1.0 - dropped
    scale = tf.cast(tf.size(mask), tf.float32) / tf.reduce_sum(mask)
    return features * tf.cast(mask * scale, features.dtype)


def drop_connect(
  features: tf.Tensor, is_training: bool, rate: Optional[float]
) -> tf.Tensor:
  """Drops whole residual branches (Huang et al., arXiv:1603.09382).

  Args:
    features: [batch, ...], the output of a residual branch.
    is_training: the identity when false.
    rate: probability to drop the branch of one example; None or 0: never.

  Returns:
    `features`, of each example either zero or divided by 1 - rate.
  """
  if not is_training or not rate:
    return features
  keep_prob = 1.0 - rate
  shape = [tf.shape(features)[0]] + [1] * (features.shape.ndims - 1)
  kept = tf.floor(keep_prob + step_randomness.uniform(shape))
  return features * tf.cast(kept / keep_prob, features.dtype)


def dropout(features: tf.Tensor, is_training: bool, rate: float) -> tf.Tensor:
  """Drops single activations (Srivastava et al., JMLR 15, 2014).

  Args:
    features: of any shape.
    is_training: the identity when false.
    rate: probability to drop one, in [0, 1).

  Returns:
    `features`, each either zero or divided by 1 - rate.
  """
  if not is_training or not rate:
    return features
  kept = step_randomness.uniform(tf.shape(features)) >= rate
  return features * (1.0 / (1.0 - rate)) * tf.cast(kept, features.dtype)


def checked_drop_rate(key: str, rate: Optional[float]) -> Optional[float]:
  """Returns `rate`; ConfigError naming `key` if it is outside [0, 1)."""
  if rate is not None and not 0.0 <= rate < 1.0:
    raise errors.ConfigError(f'{key}: {rate} is outside [0, 1).')
  return rate


def scaled_drop_rate(
  key: str, init_rate: Optional[float], position: int, count: int
) -> Optional[float]:
  """Drop rate of the `position`-th of `count` stages: grows with depth.

  Args:
    key: dotted config key of the rate, for the error.
    init_rate: rate of the last stage, in [0, 1); None: no dropping.
    position: 1-based (or as the network counts its stages).
    count: what `position` is divided by.
  """
  init_rate = checked_drop_rate(key, init_rate)
  return None if init_rate is None else init_rate * float(position) / count
