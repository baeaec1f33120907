"""Values of several replicas: of `tf.distribute`, or cores of a TPU."""

import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function


def is_replicated() -> bool:
  """Whether this replica is one of several of a distribution strategy."""
  return tf.distribute.get_strategy().num_replicas_in_sync > 1


def is_on_tpu() -> bool:
  """Whether the graph that is being built is a TPU's computation."""
  return tpu_function.get_tpu_context().number_of_shards is not None


def num_replicas() -> int:
  """How many replicas the graph that is being built is for."""
  num_tpu_replicas = tpu_function.get_tpu_context().number_of_shards or 1
  return max(
    num_tpu_replicas, tf.distribute.get_strategy().num_replicas_in_sync
  )


def mean_over_replicas(value: tf.Tensor) -> tf.Tensor:
  """Mean over all replicas, without a gradient; `value` where there is one."""
  if num_replicas() == 1:
    return value
  value = tf.stop_gradient(value)
  if is_replicated():
    return tf.distribute.get_replica_context().all_reduce(
      tf.distribute.ReduceOp.MEAN, value
    )
  return tf.tpu.cross_replica_sum(value) / num_replicas()
