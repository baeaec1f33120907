"""Batch normalisation, followed by an activation where one is wanted."""

from typing import Callable, Optional

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from modeling.architecture import activations
from modeling.architecture.shared_tensors import constant
from modeling.training import replicas

# Up to this many TPU replicas each normalises by its own moments.
MAX_UNSYNCED_TPU_REPLICAS = 8
# The least that the kernel of a GPU takes, and a little more.
_LEAST_EPSILON = 1.001e-5


_AVERAGE = 'AverageOverReplicas'


def _all_reduce_mean(value: tf.Tensor) -> tf.Tensor:
  def reduce(strategy, value):
    return strategy.extended.reduce_to(
      tf.distribute.ReduceOp.MEAN, value, destinations=value
    )

  return tf.distribute.get_replica_context().merge_call(reduce, args=(value,))


def _average_over_gpus(value: tf.Tensor) -> tf.Tensor:
  """Mean over the replicas of `tf.distribute`, with its gradient.

  The gradient that `ReplicaContext.all_reduce` brings looks variables up by
  names that mirrored ones do not have.
  """
  mean = _all_reduce_mean(value)
  graph = tf.get_default_graph()
  with graph.gradient_override_map({'IdentityN': _AVERAGE}):
    return tf.identity_n([value, mean])[1]


@tf.RegisterGradient(_AVERAGE)
def _average_gradient(op, unused, gradient):
  """Each replica's value is in the mean of all, so gradients are averaged."""
  del op, unused
  return _all_reduce_mean(gradient), None


def _average_over_replicas() -> Optional[Callable[[tf.Tensor], tf.Tensor]]:
  """Returns the mean over all replicas, None where each is on its own."""
  num_cores = tpu_function.get_tpu_context().number_of_shards or 1
  if num_cores > MAX_UNSYNCED_TPU_REPLICAS:
    return lambda value: tf.tpu.cross_replica_sum(value) / num_cores
  if tf.distribute.get_strategy().num_replicas_in_sync > 1:
    return _average_over_gpus
  return None


class BatchNormalization(tf.layers.BatchNormalization):
  """Batch norm, its moments averaged over all replicas if `is_synchronised`.

  Automatic layer names come from the class's, so it is called as the layer
  that it stands in for.

  Variable names and shapes equal those of the fused layer. The replicas are
  those of `tf.distribute`, or of a TPU if it has more than 8; on a TPU with
  fewer the moments are each replica's own.
  """

  def __init__(self, is_synchronised: bool, **kwargs):
    super().__init__(**kwargs)
    self._is_synchronised = is_synchronised

  def _fused_batch_norm(self, inputs, training):
    if not training or replicas.is_on_tpu() or tf.distribute.has_strategy():
      return super()._fused_batch_norm(inputs, training)
    # The same values from a third of the nodes, of which a network has
    # thousands.
    nothing = constant(np.zeros(0, np.float32))
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
      x=inputs,
      scale=self.gamma,
      offset=self.beta,
      mean=nothing,
      variance=nothing,
      epsilon=max(self.epsilon, _LEAST_EPSILON),
    )
    decay = constant(np.float32(1) - np.float32(self.momentum))
    for average, value in (
      (self.moving_mean, mean),
      (self.moving_variance, variance),
    ):
      self.add_update(tf.assign_sub(average, (average - value) * decay))
    return outputs

  def _moments(self, inputs, reduction_axes, keep_dims):
    mean, variance = super()._moments(
      inputs, reduction_axes, keep_dims=keep_dims
    )
    average = _average_over_replicas() if self._is_synchronised else None
    if average is None:
      return mean, variance
    group_mean = average(mean)
    # var(all) = mean of var + var of mean: exact for shards of equal size,
    # and free of the cancellation in E[x^2] - E[x]^2.
    spread = tf.square(group_mean - mean)
    return group_mean, average(variance + spread)


class BatchNormActivation:
  """Normalises over the last axis, then applies the activation.

  Args:
    momentum: decay of the moving statistics.
    epsilon: added to the variance.
    trainable: whether gamma and beta are trained; if false the moving
      statistics are used and left alone also in training.
    use_sync_bn: whether moments are shared by all replicas.
    activation: 'relu' or 'swish'.
    layer_name: what layers without a name of their own are called, numbered
      within the variable scope; by default `batch_normalization`.
  """

  def __init__(
    self,
    momentum: float = 0.997,
    epsilon: float = 1e-4,
    trainable: bool = True,
    use_sync_bn: bool = False,
    activation: str = 'relu',
    layer_name: Optional[str] = None,
  ):
    self._momentum = momentum
    self._epsilon = epsilon
    self._trainable = trainable
    self._use_sync_bn = use_sync_bn
    self._activation = activations.get_activation(activation)
    self._layer_name = layer_name

  def __call__(
    self,
    inputs: tf.Tensor,
    is_training: bool,
    activate: bool = True,
    name: Optional[str] = None,
  ) -> tf.Tensor:
    """Returns a tensor of the shape and dtype of `inputs` [..., channels]."""
    training = is_training and self._trainable
    layer = BatchNormalization(
      self._use_sync_bn,
      axis=-1,
      momentum=self._momentum,
      epsilon=self._epsilon,
      trainable=self._trainable,
      name=name or self._layer_name,
      # The fused kernel takes images alone.
      fused=inputs.shape.ndims == 4 and not self._use_sync_bn,
      # Only a name that the caller gives is not to be numbered.
      _scope=None if self._use_sync_bn else name,
    )
    outputs = layer(inputs, training=training)
    return self._activation(outputs) if activate else outputs
