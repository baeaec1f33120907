"""What every part of a model shares: batch norm, activation, DropBlock."""

from typing import Any, Callable, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from modeling.architecture import activations, batch_norm, regularization


class Normalization(NamedTuple):
  """Batch norm with activation, the activation alone, and DropBlock."""

  norm: batch_norm.BatchNormActivation
  activation: Callable[[tf.Tensor], tf.Tensor]
  dropblock: regularization.DropBlock


def from_params(params: Any, activation: Optional[str] = None) -> Normalization:
  """Reads `batch_norm_activation` and `dropblock`.

  Args:
    params: the whole config.
    activation: used in place of the model's.
  """
  settings = params.batch_norm_activation
  activation = activation or settings.activation
  has_replicas = tf.distribute.get_strategy().num_replicas_in_sync > 1
  return Normalization(
    norm=batch_norm.BatchNormActivation(
      momentum=settings.batch_norm_momentum,
      epsilon=settings.batch_norm_epsilon,
      trainable=settings.batch_norm_trainable,
      # One device has nothing to join, and the fused layer is faster.
      use_sync_bn=settings.use_sync_bn and (params.use_tpu or has_replicas),
      activation=activation,
    ),
    activation=activations.get_activation(activation),
    dropblock=regularization.DropBlock(
      params.dropblock.dropblock_keep_prob, params.dropblock.dropblock_size
    ),
  )
