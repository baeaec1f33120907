"""Optimizers by their names in the config."""

from typing import Any, Callable, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from utils import registry

# Variable that a checkpoint has if it was trained with `with_loss_scale`.
LOSS_SCALE = 'current_loss_scale'

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


def clip_by_global_norm(
  gradients: Sequence[Optional[tf.Tensor]], clip_norm: float
) -> Tuple[List[Optional[tf.Tensor]], tf.Tensor]:
  """Scales gradients down so that their global norm is at most `clip_norm`.

  What `tf.clip_by_global_norm` computes, with one node a gradient instead of
  two.

  Args:
    gradients: tensors of any shapes, or None.
    clip_norm: 0 leaves them as they are.

  Returns:
    Tensors of the same shapes, None where `gradients` has None; clipped, they
    are NaN everywhere if the norm is not finite. And their norm before.
  """
  norm = tf.global_norm(gradients)
  if not clip_norm:
    return list(gradients), norm
  scale = clip_norm / tf.maximum(norm, clip_norm)
  # Dividing by infinity would turn the other gradients into zeros, silently.
  scale = tf.where(tf.is_finite(norm), scale, np.nan)
  return [
    None if gradient is None else gradient * tf.cast(scale, gradient.dtype)
    for gradient in gradients
  ], norm


def with_loss_scale(optimizer: tf.train.Optimizer) -> tf.train.Optimizer:
  """Keeps small gradients from vanishing in float16.

  The loss is multiplied before differentiation, the gradients are divided. A
  step whose gradients are not finite is left out, the global step too, and
  halves the factor; 2000 finite steps double it. Creates the variables
  `LOSS_SCALE` and `good_steps`.

  Args:
    optimizer: takes the gradients of the loss as it is.
  """
  experimental = tf.train.experimental
  return experimental.MixedPrecisionLossScaleOptimizer(
    optimizer, experimental.DynamicLossScale()
  )


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
