"""Values of several replicas under `tf.distribute`."""

import tensorflow.compat.v1 as tf


def is_replicated() -> bool:
  """Whether this replica is one of several of a distribution strategy."""
  return tf.distribute.get_strategy().num_replicas_in_sync > 1


def mean_over_replicas(value: tf.Tensor) -> tf.Tensor:
  """Mean over all replicas, without a gradient; `value` where there is one.

  On a TPU, whose cores are no replicas of `tf.distribute`, it is `value` too.
  """
  if not is_replicated():
    return value
  return tf.distribute.get_replica_context().all_reduce(
    tf.distribute.ReduceOp.MEAN, tf.stop_gradient(value)
  )
