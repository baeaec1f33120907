"""Optimizers by their names in the config."""

from typing import Any, Callable

import tensorflow.compat.v1 as tf

from utils import registry

OPTIMIZERS = registry.Registry('train.optimizer.type')

# Learning rate (scalar tensor or float) to an optimizer.
OptimizerFn = Callable[[Any], tf.train.Optimizer]


def optimizer_factory(params: Any) -> OptimizerFn:
  """Returns a function that makes the optimizer which a config describes.

  Args:
    params: the block `train.optimizer`: `type`, and `momentum` for `momentum`
      and `rmsprop`.

  Raises:
    ConfigError: `params.type` is unknown.
  """
  return OPTIMIZERS.get(params.type)(params)


@OPTIMIZERS.register('momentum')
def _momentum(params: Any) -> OptimizerFn:
  momentum = float(params.momentum)
  return lambda learning_rate: tf.train.MomentumOptimizer(
    learning_rate, momentum=momentum
  )


@OPTIMIZERS.register('adam')
def _adam(params: Any) -> OptimizerFn:
  del params
  return tf.train.AdamOptimizer


@OPTIMIZERS.register('adadelta')
def _adadelta(params: Any) -> OptimizerFn:
  del params
  return tf.train.AdadeltaOptimizer


@OPTIMIZERS.register('adagrad')
def _adagrad(params: Any) -> OptimizerFn:
  del params
  return tf.train.AdagradOptimizer


@OPTIMIZERS.register('rmsprop')
def _rmsprop(params: Any) -> OptimizerFn:
  momentum = float(params.momentum)
  return lambda learning_rate: tf.train.RMSPropOptimizer(
    learning_rate, decay=0.9, momentum=momentum, epsilon=0.001
  )
