"""Feature Pyramid Network (Lin et al., arXiv:1612.03144)."""

from typing import Any, Dict

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit, registries
from utils import errors


class Fpn:
  """Backbone maps to a pyramid of equal width.

  Args:
    min_level, max_level: levels of the pyramid; levels above the backbone's
      are made by strided convolutions.
    layers: batch norm.
    filters: channels of every level.
    use_separable_conv: depthwise then pointwise in every convolution.
    use_batch_norm: whether each level ends with batch norm.
  """

  def __init__(
    self,
    min_level: int,
    max_level: int,
    layers: layer_kit.LayerKit,
    filters: int = 256,
    use_separable_conv: bool = False,
    use_batch_norm: bool = True,
  ):
    self._min_level = min_level
    self._max_level = max_level
    self._layers = layers
    self._filters = filters
    self._use_separable_conv = use_separable_conv
    self._use_batch_norm = use_batch_norm

  def __call__(
    self, features: Dict[int, tf.Tensor], is_training: bool
  ) -> Dict[int, tf.Tensor]:
    """Returns {level: [batch, height, width, filters]}.

    Args:
      features: {level: [batch, height, width, channels]} of consecutive
        levels; height and width halve from level to level.
      is_training: mode of batch norm.
    """
    if not min(features) <= self._min_level <= max(features):
      raise errors.ConfigError(
        f'architecture.min_level: {self._min_level} is not among the levels '
        f'of the backbone, {min(features)} to {max(features)}.'
      )
    top = min(max(features), self._max_level)
    levels = range(self._min_level, top + 1)
    with tf.variable_scope('fpn'):
      pyramid = {
        level: self._conv(features[level], 1, f'l{level}') for level in levels
      }
      for level in reversed(levels[:-1]):
        coarser = convolutions.nearest_upsampling(pyramid[level + 1], 2)
        pyramid[level] = pyramid[level] + coarser
      for level in levels:
        pyramid[level] = self._conv(pyramid[level], 3, f'post_hoc_d{level}')
      for level in range(top + 1, self._max_level + 1):
        finer = pyramid[level - 1]
        if level > top + 1:
          # ReLU whatever the model's activation: published weights need it.
          finer = tf.nn.relu(finer)
        pyramid[level] = self._conv(finer, 3, f'p{level}', strides=2)
      if self._use_batch_norm:
        for level in range(self._min_level, self._max_level + 1):
          pyramid[level] = self._layers.norm(
            pyramid[level],
            is_training,
            activate=False,
            name=f'p{level}-bn',
          )
    return pyramid

  def _conv(
    self, inputs: tf.Tensor, kernel_size: int, name: str, strides: int = 1
  ) -> tf.Tensor:
    return convolutions.conv2d(
      inputs,
      filters=self._filters,
      kernel_size=kernel_size,
      strides=strides,
      use_separable_conv=self._use_separable_conv,
      name=name,
    )


@registries.register_neck('fpn')
def from_params(params: Any, layers: layer_kit.LayerKit) -> Fpn:
  return Fpn(
    min_level=params.architecture.min_level,
    max_level=params.architecture.max_level,
    layers=layers,
    filters=params.fpn.fpn_feat_dims,
    use_separable_conv=params.fpn.use_separable_conv,
    use_batch_norm=params.fpn.use_batch_norm,
  )
