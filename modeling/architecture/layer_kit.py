"""Kit of layers that all parts of a model share."""

from typing import Any, Callable, NamedTuple

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  activations,
  batch_norm,
  recompute,
  regularization,
)


class LayerKit(NamedTuple):
  """Batch norm with activation, the activation alone, DropBlock, and marks.

  `recompute(outputs, inputs, is_training)` marks a stretch whose activations
  need not be kept for the backward pass.
  """

  norm: batch_norm.BatchNormActivation
  activation: Callable[[tf.Tensor], tf.Tensor]
  dropblock: regularization.DropBlock
  recompute: recompute.Recompute

  def finish(
    self, features: tf.Tensor, is_training: bool, use_batch_norm: bool
  ) -> tf.Tensor:
    """What follows a layer: batch norm with activation, or the latter alone."""
    if use_batch_norm:
      return self.norm(features, is_training)
    return self.activation(features)


def from_params(params: Any, activation_key: str = activations.KEY) -> LayerKit:
  """Reads `batch_norm_activation` and `dropblock`.

  Args:
    params: the whole config.
    activation_key: dotted key of the activation to use; if its value is null,
      the model's.
  """
  settings = params.batch_norm_activation
  block, name = activation_key.split('.')
  activation = getattr(getattr(params, block), name)
  if activation is None:
    activation, activation_key = settings.activation, activations.KEY
  function = activations.get_activation(activation, activation_key)
  return LayerKit(
    norm=batch_norm.BatchNormActivation(
      momentum=settings.batch_norm_momentum,
      epsilon=settings.batch_norm_epsilon,
      trainable=settings.batch_norm_trainable,
      use_sync_bn=settings.use_sync_bn and may_have_replicas(params),
      activation=activation,
    ),
    activation=function,
    dropblock=regularization.DropBlock(
      params.dropblock.dropblock_keep_prob, params.dropblock.dropblock_size
    ),
    recompute=recompute.Recompute(params.train.recompute_grad),
  )


def he_fan_out() -> tf.keras.initializers.Initializer:
  """Initializer of the heads of RoIs (He et al., arXiv:1502.01852)."""
  return tf.variance_scaling_initializer(
    scale=2.0, mode='fan_out', distribution='untruncated_normal'
  )


def may_have_replicas(params: Any) -> bool:
  """Whether batch norm may have statistics to join.

  One device has none, and the fused layer is faster.
  """
  return params.use_tpu or tf.distribute.get_strategy().num_replicas_in_sync > 1
