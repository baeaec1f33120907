"""Batch normalisation, followed by an activation where one is wanted."""

from typing import Optional

import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from modeling.architecture import activations

# Up to this many replicas each normalises by its own moments.
_MAX_UNSYNCED_REPLICAS = 8


class BatchNormalization(tf.layers.BatchNormalization):
  """Batch norm whose moments are averaged over all TPU replicas.

  Automatic layer names come from the class's, so it is called as the layer
  that it stands in for.

  Variable names and shapes equal those of the fused layer. With at most 8
  replicas, and outside a TPU computation, the moments are the replica's own.
  """

  def __init__(self, **kwargs):
    super().__init__(fused=False, **kwargs)

  def _moments(self, inputs, reduction_axes, keep_dims):
    mean, variance = super()._moments(
      inputs, reduction_axes, keep_dims=keep_dims
    )
    num_replicas = tpu_function.get_tpu_context().number_of_shards or 1
    if num_replicas <= _MAX_UNSYNCED_REPLICAS:
      return mean, variance
    group_mean = tf.tpu.cross_replica_sum(mean) / num_replicas
    # var(all) = mean of var + var of mean: exact for shards of equal size,
    # and free of the cancellation in E[x^2] - E[x]^2.
    spread = tf.square(group_mean - mean)
    group_variance = tf.tpu.cross_replica_sum(variance + spread) / num_replicas
    return group_mean, group_variance


class BatchNormActivation:
  """Normalises over the last axis, then applies the activation.

  Args:
    momentum: decay of the moving statistics.
    epsilon: added to the variance.
    trainable: whether gamma and beta are trained; if false the moving
      statistics are used and left alone also in training.
    use_sync_bn: whether moments are shared by all replicas.
    activation: 'relu' or 'swish'.
  """

  def __init__(
    self,
    momentum: float = 0.997,
    epsilon: float = 1e-4,
    trainable: bool = True,
    use_sync_bn: bool = False,
    activation: str = 'relu',
  ):
    self._momentum = momentum
    self._epsilon = epsilon
    self._trainable = trainable
    self._use_sync_bn = use_sync_bn
    self._activation = activations.get_activation(activation)

  def __call__(
    self,
    inputs: tf.Tensor,
    is_training: bool,
    activate: bool = True,
    name: Optional[str] = None,
  ) -> tf.Tensor:
    """Returns a tensor of the shape and dtype of `inputs` [..., channels]."""
    training = is_training and self._trainable
    kwargs = {
      'axis': -1,
      'momentum': self._momentum,
      'epsilon': self._epsilon,
      'trainable': self._trainable,
      'name': name,
    }
    if self._use_sync_bn:
      layer = BatchNormalization(**kwargs)
      outputs = layer(inputs, training=training)
    else:
      outputs = tf.layers.batch_normalization(
        inputs, training=training, fused=True, **kwargs
      )
    return self._activation(outputs) if activate else outputs
