"""The training loop."""

from typing import Any, Callable

import tensorflow.compat.v1 as tf

from executor import checkpointing, interruption, progress
from executor import hardware as hardware_lib


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
  if not on_tpu:
    hooks.append(
      checkpointing.CheckpointHook(
        params.model_dir,
        save_secs=params.train.save_checkpoint_seconds,
        listeners=[checkpointing.FiniteVariablesListener()],
      )
    )
  with interrupt.handling_signals():
    estimator.train(input_fn=input_fn, hooks=hooks, max_steps=max_steps)
  interrupt.raise_if_stopped(params.model_dir)
