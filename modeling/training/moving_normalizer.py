"""Moving average of the number of positive anchors."""

import tensorflow.compat.v1 as tf

from modeling.training import replicas


def moving_normalizer(value: tf.Tensor, momentum: float) -> tf.Tensor:
  """Debiased moving average of `value`, including `value` itself.

  Creates the variables `moving_normalizer`, `moving_normalizer/biased` and
  `moving_normalizer/local_step`, all scalars, none trainable.

  Args:
    value: float32 scalar, the number of positive anchors in the batch; of
      several replicas their mean counts.
    momentum: share of the past in the average, in (0, 1).

  Returns:
    float32 scalar: the average after this step. Running it moves it on.
  """
  value = replicas.mean_over_replicas(value)
  variable_kwargs = {
    'shape': [],
    'dtype': tf.float32,
    'initializer': tf.zeros_initializer(),
    'trainable': False,
    'use_resource': True,
    'synchronization': tf.VariableSynchronization.ON_READ,
    'aggregation': tf.VariableAggregation.MEAN,
  }
  average = tf.get_variable('moving_normalizer', **variable_kwargs)
  with tf.variable_scope('moving_normalizer'):
    biased = tf.get_variable('biased', **variable_kwargs)
    local_step = tf.get_variable('local_step', **variable_kwargs)
  new_step = local_step.assign_add(1.0, read_value=True)
  new_biased = biased.assign_add(
    (value - biased.read_value()) * (1.0 - momentum), read_value=True
  )
  debiased = new_biased / (1.0 - tf.pow(momentum, new_step))
  with tf.control_dependencies([average.assign(debiased, read_value=False)]):
    return tf.identity(debiased)
