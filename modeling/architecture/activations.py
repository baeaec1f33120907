"""Activation functions by their config name."""

from typing import Callable

import tensorflow.compat.v1 as tf

from utils import registry

_ACTIVATIONS = registry.Registry('batch_norm_activation.activation')
_ACTIVATIONS.register('relu')(tf.nn.relu)


@_ACTIVATIONS.register('swish')
def swish(features: tf.Tensor) -> tf.Tensor:
  """x * sigmoid(x) (Ramachandran et al., arXiv:1710.05941).

  Two plain ops: `tf.nn.swish` wraps them into a graph function, which the
  converters to other formats do not read.
  """
  return features * tf.sigmoid(features)


def get_activation(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns the function; ConfigError naming the known ones if unknown."""
  return _ACTIVATIONS.get(name)
