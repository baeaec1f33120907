"""The training loop."""

from typing import Any, Callable

import tensorflow.compat.v1 as tf

from executor import hardware as hardware_lib
from executor import interruption, progress
from modeling import finite_loss


class _CheckVariablesOnSave(tf.train.CheckpointSaverListener):
  """Builds the check of all float variables once the graph is there."""

  def __init__(self):
    self._listener = None

  def begin(self):
    self._listener = finite_loss.FiniteVariablesListener(
      [v for v in tf.global_variables() if v.dtype.base_dtype.is_floating]
    )

  def before_save(self, session, global_step_value):
    self._listener.before_save(session, global_step_value)


def train(
  estimator: tf.estimator.Estimator,
  input_fn: Callable[..., Any],
  params: Any,
  hardware: hardware_lib.Hardware,
  max_steps: int,
) -> None:
  """Trains up to the absolute step `max_steps`.

  Raises:
    Interrupted: a signal came; a checkpoint was saved.
    UserError: a loss was not finite.
  """
  interrupt = interruption.StopOnSignalHook()
  on_tpu = hardware.kind == hardware_lib.TPU
  hooks = [
    interrupt,
    progress.ProgressHook(
      max_steps, params.train.train_batch_size, shows_values=not on_tpu
    ),
  ]
  listeners = [] if on_tpu else [_CheckVariablesOnSave()]
  with interrupt.handling_signals():
    estimator.train(
      input_fn=input_fn,
      hooks=hooks,
      max_steps=max_steps,
      saving_listeners=listeners,
    )
  interrupt.raise_if_stopped(params.model_dir)
