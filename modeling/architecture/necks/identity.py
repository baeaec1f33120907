"""Neck of backbones that end in a pyramid."""

from typing import Any, Dict

import tensorflow.compat.v1 as tf

from modeling.architecture import layer_kit, registries
from utils import errors


class Identity:
  """Returns the backbone's maps of the wanted levels unchanged.

  Args:
    min_level, max_level: levels that the backbone has to give.
  """

  def __init__(self, min_level: int, max_level: int):
    self._levels = range(min_level, max_level + 1)

  def __call__(
    self, features: Dict[int, tf.Tensor], is_training: bool
  ) -> Dict[int, tf.Tensor]:
    """Returns {level: features[level]}.

    Raises:
      ConfigError: the backbone lacks a level.
    """
    del is_training
    if not set(self._levels) <= set(features):
      raise errors.ConfigError(
        "architecture.multilevel_features: 'identity' adds no levels, and "
        f'the backbone has {min(features)} to {max(features)}, not '
        f'{self._levels[0]} to {self._levels[-1]} (architecture.min_level, '
        'architecture.max_level). Use fpn, or change the levels.'
      )
    return {level: features[level] for level in self._levels}


@registries.register_neck('identity')
def from_params(params: Any, layers: layer_kit.LayerKit) -> Identity:
  del layers
  return Identity(params.architecture.min_level, params.architecture.max_level)
