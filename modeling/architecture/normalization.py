"""What every part of a model shares: batch norm, activation, DropBlock."""

from typing import Any, Callable, NamedTuple

import tensorflow.compat.v1 as tf

from modeling.architecture import activations, batch_norm, regularization


class Normalization(NamedTuple):
  """Batch norm with activation, the activation alone, and DropBlock."""

  norm: batch_norm.BatchNormActivation
  activation: Callable[[tf.Tensor], tf.Tensor]
  dropblock: regularization.DropBlock


def from_params(params: Any) -> Normalization:
  """Reads `batch_norm_activation` and `dropblock`."""
  settings = params.batch_norm_activation
  return Normalization(
    norm=batch_norm.BatchNormActivation(
      momentum=settings.batch_norm_momentum,
      epsilon=settings.batch_norm_epsilon,
      trainable=settings.batch_norm_trainable,
      use_sync_bn=settings.use_sync_bn,
      activation=settings.activation,
    ),
    activation=activations.get_activation(settings.activation),
    dropblock=regularization.DropBlock(
      params.dropblock.dropblock_keep_prob, params.dropblock.dropblock_size
    ),
  )
