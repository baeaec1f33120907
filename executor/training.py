"""One stretch of training, up to a step."""

import contextlib
import functools
import logging
from typing import Any, ContextManager, List, Optional, Tuple

import tensorflow.compat.v1 as tf

from configs import resolver
from dataloader import input_reader, record_check
from executor import (
  blow_ups,
  checkpointing,
  early_stop,
  estimator_factory,
  failures,
  first_step,
  progress,
  run_history,
  sole_training,
  step_memory,
  step_trace,
  time_spent,
)
from executor import hardware as hardware_lib
from executor.multi_worker import meeting, step_agreement
from executor.tpu import preemption
from modeling import checkpoint, model_builder
from modeling.training import finite_loss
from utils import garbage_collection, interruption, mode_keys

_log = logging.getLogger(__name__)


class _StartHook(tf.train.SessionRunHook):
  """Writes what is known of a run once its graph fits the directory."""

  def __init__(self, params: Any, history: run_history.RunHistory):
    self._params = params
    self._history = history

  def begin(self):
    resolver.save_params(self._params, self._params.model_dir)
    self._history.start()


class Trainer:
  """Trains in a model directory, one stretch after the other.

  Args:
    params: the whole config.
    traced_steps: the first and the last step to trace, if any.

  Attributes:
    history: of the directory.
    time_spent: of the run.
  """

  def __init__(
    self, params: Any, traced_steps: Optional[Tuple[int, int]] = None
  ):
    self._params = params
    self.history = run_history.RunHistory(params)
    self.time_spent = time_spent.TimeSpent()
    self._trace_hooks = []
    if traced_steps:
      self._trace_hooks.append(
        step_trace.TraceHook(traced_steps, params.model_dir)
      )
    self._blow_ups = blow_ups.BlowUps(params, self.history)
    self._interrupt = interruption.StopOnSignalHook()
    self._memory_hook = step_memory.MemoryHook(params)

  def train(self, hardware: hardware_lib.Hardware, last_step: int) -> None:
    """Trains from the latest checkpoint up to the absolute step `last_step`.

    Args:
      hardware: what the config can work on.
      last_step: where to stop.

    Raises:
      UserError: a loss blew up, more often than
        `train.recover_from_blow_ups` allows, or a signal came.
      DataError: a record cannot be used.
    """
    while True:
      batches = finite_loss.RecentBatches()
      try:
        return self._train(hardware, last_step, batches)
      except finite_loss.BlowUpError as error:
        self._blow_ups.recover(error, batches)

  def _train(
    self,
    hardware: hardware_lib.Hardware,
    last_step: int,
    batches: finite_loss.RecentBatches,
  ) -> None:
    params, model_dir = self._params, self._params.model_dir
    self.time_spent.switch(time_spent.START)
    start_step = checkpoint.latest_step(model_dir)
    recovered = self._blow_ups.current()
    if recovered.recoveries:
      _log.info(
        'Recoveries so far: %d; learning rates are times %g.',
        *(recovered.recoveries, recovered.learning_rate_scale),
      )
    input_fn = estimator_factory.GlobalBatchInputFn(
      input_reader.InputFn(
        params.train.train_file_pattern,
        params,
        mode_keys.TRAIN,
        params.train.train_dataset_type,
        start_step=start_step + recovered.left_out,
      ),
      params.train.train_batch_size,
    )
    # The others are told of an error when it is explained.
    with self._meeting(hardware, start_step), failures.naming_bad_records(
      params, record_check.training_pattern(params)
    ):
      # Of several workers it takes the port that they met at.
      estimator = self._estimator(
        hardware,
        learning_rate_scale=recovered.learning_rate_scale,
        batches=batches,
      )
      # Until the first step little is garbage, and graphs are large.
      with garbage_collection.paused(), self._interrupt.handling_signals(
        from_first_step=True
      ):
        estimator.train(
          input_fn=input_fn,
          hooks=self._hooks(hardware),
          max_steps=last_step,
          saving_listeners=self._listeners(hardware, batches),
        )
    self._interrupt.raise_if_stopped(
      model_dir, checkpoint.find_latest(model_dir)
    )

  def _estimator(
    self, hardware: hardware_lib.Hardware, **model_fn_kwargs: Any
  ) -> tf.estimator.Estimator:
    return estimator_factory.make_estimator(
      self._params,
      model_builder.ModelFn(
        self._params,
        make_last_hooks=functools.partial(self._checkpoint_hooks, hardware),
        make_tpu_scaffold=preemption.OneSessionScaffold,
        writes=hardware.writes,
        **model_fn_kwargs,
      ),
      hardware,
      is_training=True,
    )

  def _hooks(
    self, hardware: hardware_lib.Hardware
  ) -> List[tf.train.SessionRunHook]:
    train = self._params.train
    hooks: List[tf.train.SessionRunHook] = []
    if hardware.kind == hardware_lib.CPU and not hardware.cluster:
      hooks.append(self._memory_hook)
    if hardware.writes:
      hooks += [
        _StartHook(self._params, self.history),
        progress.ProgressHook(
          train.total_steps,
          train.train_batch_size,
          self.time_spent,
          shows_values=hardware.kind != hardware_lib.TPU,
          summary_dir=(
            self._params.model_dir if self._params.enable_summary else None
          ),
        ),
        *self._trace_hooks,
      ]
    # The first step has been shown.
    hooks.append(
      first_step.FirstStepHook(
        self._params.model_dir if hardware.writes else None
      )
    )
    if not hardware.cluster:
      # Several workers have to stop at the same step.
      hooks.append(self._interrupt)
    return hooks

  def _listeners(
    self, hardware: hardware_lib.Hardware, batches: finite_loss.RecentBatches
  ) -> List[tf.train.CheckpointSaverListener]:
    model_dir = self._params.model_dir
    listeners = [
      time_spent.CheckpointListener(self.time_spent),
      finite_loss.FiniteVariablesListener(batches),
      early_stop.Listener(self._params),
    ]
    if hardware.writes:
      listeners.append(sole_training.Listener(model_dir))
      hours = self._params.train.keep_checkpoint_every_hours
      if hours:
        listeners.append(checkpointing.KeepListener(model_dir, hours))
    return listeners

  def _checkpoint_hooks(
    self, hardware: hardware_lib.Hardware
  ) -> List[tf.train.SessionRunHook]:
    """New hooks; on a TPU the estimator brings its own."""
    if hardware.kind == hardware_lib.TPU:
      return []
    model_dir = self._params.model_dir
    save_secs = self._params.train.save_checkpoint_seconds
    if not hardware.cluster:
      return [checkpointing.CheckpointHook(model_dir, save_secs=save_secs)]
    return [
      step_agreement.CheckpointHook(
        model_dir,
        save_secs=save_secs,
        agreement=step_agreement.Agreement(self._interrupt),
        is_chief=hardware.writes,
      )
    ]

  def _meeting(
    self, hardware: hardware_lib.Hardware, step: int
  ) -> ContextManager[Any]:
    """What holds this worker and the others together while they train."""
    cluster = hardware.cluster
    if cluster is None:
      return contextlib.nullcontext()
    num_devices = hardware.num_replicas // cluster.num_workers
    return meeting.Meeting(
      cluster,
      meeting.report(self._params, num_devices, step),
      self._params.model_dir,
    )
