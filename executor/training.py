"""The training loop."""

from typing import Any, Callable, List

import tensorflow.compat.v1 as tf

from configs import resolver
from executor import checkpointing, progress
from executor import hardware as hardware_lib
from executor.multi_worker import step_agreement
from modeling.training import finite_loss
from utils import interruption


def checkpoint_hooks(
  params: Any,
  hardware: hardware_lib.Hardware,
  interrupt: interruption.StopOnSignalHook,
) -> List[tf.train.SessionRunHook]:
  """New hooks that save checkpoints; on a TPU the estimator brings its own."""
  if hardware.kind == hardware_lib.TPU:
    return []
  if hardware.cluster:
    return [
      step_agreement.CheckpointHook(
        params.model_dir,
        save_secs=params.train.save_checkpoint_seconds,
        agreement=step_agreement.Agreement(interrupt),
        is_chief=hardware.writes,
      )
    ]
  return [
    checkpointing.CheckpointHook(
      params.model_dir, save_secs=params.train.save_checkpoint_seconds
    )
  ]


class _SaveParamsHook(tf.train.SessionRunHook):
  """Writes params.yaml once the graph stands and fits the model directory."""

  def __init__(self, params: Any):
    self._params = params

  def begin(self):
    resolver.save_params(self._params, self._params.model_dir)


def train(
  estimator: tf.estimator.Estimator,
  input_fn: Callable[..., Any],
  params: Any,
  hardware: hardware_lib.Hardware,
  max_steps: int,
  interrupt: interruption.StopOnSignalHook,
  memory_hook: tf.train.SessionRunHook,
) -> None:
  """Trains up to the absolute step `max_steps`.

  Args:
    estimator: whose model function adds `checkpoint_hooks`.
    input_fn: training input.
    params: the whole config.
    hardware: of `hardware.detect`.
    max_steps: where to stop.
    interrupt: also that of `checkpoint_hooks`; tells afterwards whether a
      signal came.
    memory_hook: asks for the memory of a step, on a CPU.

  Raises:
    UserError: a loss was not finite.
  """
  hooks: List[tf.train.SessionRunHook] = []
  if hardware.kind == hardware_lib.CPU and not hardware.cluster:
    hooks.append(memory_hook)
  if hardware.writes:
    hooks += [
      _SaveParamsHook(params),
      progress.ProgressHook(
        params.train.total_steps,
        params.train.train_batch_size,
        shows_values=hardware.kind != hardware_lib.TPU,
      ),
    ]
  if not hardware.cluster:
    # Several workers have to stop at the same step.
    hooks.append(interrupt)
  with interrupt.handling_signals(from_first_step=True):
    estimator.train(
      input_fn=input_fn,
      hooks=hooks,
      max_steps=max_steps,
      saving_listeners=[finite_loss.FiniteVariablesListener()],
    )
