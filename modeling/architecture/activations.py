"""Activation functions by their config name."""

from typing import Callable

import tensorflow.compat.v1 as tf

from utils import registry

KEY = 'batch_norm_activation.activation'
_ACTIVATIONS = registry.Registry(KEY)
_ACTIVATIONS.register('relu')(tf.nn.relu)


@_ACTIVATIONS.register('swish')
def swish(features: tf.Tensor) -> tf.Tensor:
  """x * sigmoid(x) (Ramachandran et al., arXiv:1710.05941).

  Two plain ops: `tf.nn.swish` wraps them into a graph function, which the
  converters to other formats do not read.
  """
  return features * tf.sigmoid(features)


def get_activation(
  name: str, key: str = KEY
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns the function; ConfigError naming the known ones if unknown.

  Args:
    name: of the function.
    key: dotted config key that names it, for the error.
  """
  return _ACTIVATIONS.get(name, key)
