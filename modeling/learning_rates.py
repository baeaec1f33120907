"""Learning-rate schedules, functions of the global step."""

import logging
import math
from typing import Any, Callable, Sequence

import tensorflow.compat.v1 as tf

from utils import registry

SCHEDULES = registry.Registry('train.learning_rate.type')

_log = logging.getLogger(__name__)

# Global step (scalar integer tensor or int) to learning rate (scalar float32).
LearningRate = Callable[[Any], tf.Tensor]


def learning_rate_generator(params: Any, total_steps: int) -> LearningRate:
  """Returns the schedule that a config describes.

  Args:
    params: the block `train.learning_rate`.
    total_steps: steps of the whole training, warm-up included.

  Raises:
    ConfigError: `params.type` is unknown.
  """
  return SCHEDULES.get(params.type)(params, total_steps)


@SCHEDULES.register('step')
def _step(params: Any, total_steps: int) -> LearningRate:
  del total_steps
  levels = params.learning_rate_levels
  steps = params.learning_rate_steps
  if len(levels) != len(steps):
    _log.warning(
      'train.learning_rate: %d learning_rate_levels %s but %d '
      'learning_rate_steps %s; the last %d of the longer list have no effect. '
      'Give one step for each level.',
      len(levels),
      list(levels),
      len(steps),
      list(steps),
      abs(len(levels) - len(steps)),
    )
  return StepLearningRate(
    params.warmup_learning_rate,
    params.warmup_steps,
    params.init_learning_rate,
    levels,
    steps,
  )


@SCHEDULES.register('cosine')
def _cosine(params: Any, total_steps: int) -> LearningRate:
  return CosineLearningRate(
    params.warmup_learning_rate,
    params.warmup_steps,
    params.init_learning_rate,
    total_steps,
  )


class StepLearningRate:
  """Linear warm-up, then a constant that changes at given steps.

  Args:
    warmup_learning_rate: learning rate at step 0.
    warmup_steps: length of the warm-up; 0 for none.
    init_learning_rate: learning rate at the end of the warm-up.
    levels: learning rates from `steps` on; one of these applies during the
      warm-up too once its step is reached.
    steps: first step of each level. Where several are reached, the last in the
      list counts.
  """

  def __init__(
    self,
    warmup_learning_rate: float,
    warmup_steps: int,
    init_learning_rate: float,
    levels: Sequence[float],
    steps: Sequence[int],
  ):
    self._warmup_learning_rate = float(warmup_learning_rate)
    self._warmup_steps = warmup_steps
    self._init_learning_rate = float(init_learning_rate)
    self._levels = list(zip(levels, steps))

  def __call__(self, global_step: Any) -> tf.Tensor:
    step = tf.cast(global_step, tf.float32)
    learning_rate = _warm_up(
      step,
      self._warmup_learning_rate,
      self._warmup_steps,
      self._init_learning_rate,
      tf.constant(self._init_learning_rate),
    )
    for level, start in self._levels:
      learning_rate = tf.where(step >= start, float(level), learning_rate)
    return learning_rate


class CosineLearningRate:
  """Linear warm-up, then half a cosine down to 0 (arXiv:1608.03983).

  After `total_steps` it rises again; training does not go there.

  Args:
    warmup_learning_rate: learning rate at step 0.
    warmup_steps: length of the warm-up; 0 for none.
    init_learning_rate: learning rate at the end of the warm-up.
    total_steps: step at which it reaches 0.
  """

  def __init__(
    self,
    warmup_learning_rate: float,
    warmup_steps: int,
    init_learning_rate: float,
    total_steps: int,
  ):
    self._warmup_learning_rate = float(warmup_learning_rate)
    self._warmup_steps = warmup_steps
    self._init_learning_rate = float(init_learning_rate)
    self._total_steps = total_steps

  def __call__(self, global_step: Any) -> tf.Tensor:
    step = tf.cast(global_step, tf.float32)
    # With nothing left to decay over, any length but 0 avoids 0 / 0.
    decay_steps = float(self._total_steps - self._warmup_steps) or 1.0
    progress = (step - self._warmup_steps) / decay_steps
    return _warm_up(
      step,
      self._warmup_learning_rate,
      self._warmup_steps,
      self._init_learning_rate,
      self._init_learning_rate * (tf.cos(math.pi * progress) + 1.0) / 2.0,
    )


def _warm_up(
  step: tf.Tensor,
  start: float,
  num_steps: int,
  end: float,
  afterwards: tf.Tensor,
) -> tf.Tensor:
  """Linear from `start` to `end` over `num_steps`, then `afterwards`."""
  if num_steps <= 0:
    return afterwards
  linear = start + step / num_steps * (end - start)
  return tf.where(step < num_steps, linear, afterwards)
