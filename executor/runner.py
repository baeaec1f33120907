"""Training, evaluation and both in turn, as `main.py` offers them."""

import contextlib
import functools
import itertools
import logging
import os
from typing import Any, ContextManager, Dict, Iterator, Optional

import rich.console
import tensorflow.compat.v1 as tf

from configs import resolver
from dataloader import input_reader
from executor import (
  estimator_factory,
  failures,
  memory_saving,
  plan,
  run_check,
  run_start,
  sole_training,
  step_memory,
  training,
)
from executor import evaluation as evaluation_lib
from executor import hardware as hardware_lib
from executor.multi_worker import cluster as cluster_lib
from executor.multi_worker import meeting
from executor.tpu import preemption
from modeling import checkpoint, model_builder
from utils import errors, interruption, mode_keys

_log = logging.getLogger(__name__)


class Runner:
  """One run of the program in one mode.

  Args:
    params: the whole config, validated and locked.
    trains: whether it may train; if not, it only evaluates.
  """

  def __init__(self, params: Any, trains: bool = True):
    if not params.model_dir:
      raise errors.ConfigError(
        "model_dir is not set. Give the directory for this run's files with "
        '--model_dir, or in the config.'
      )
    if tf.gfile.Exists(params.model_dir) and not tf.gfile.IsDirectory(
      params.model_dir
    ):
      raise errors.ConfigError(
        "model_dir: '{}' is a file. Give a directory; it is made if it does "
        'not exist.'.format(params.model_dir)
      )
    evaluation_lib.check_settings(params, evaluates=False)
    self._params = params
    self._trains = trains
    self._interrupt = interruption.StopOnSignalHook()
    self._memory_hook = step_memory.MemoryHook(params)
    self._find_hardware()

  def _find_hardware(self, awaits_new_tpu: bool = False) -> None:
    detect = (
      hardware_lib.detect
      if self._trains
      else hardware_lib.detect_for_evaluation
    )
    self._hardware = detect(self._params, awaits_new_tpu)
    self._trainer: Any = None
    if self._hardware.cluster and self._trains:
      # Its estimator starts a server, at a port that the workers meet at.
      estimator_factory.check_batch_sizes(
        self._params,
        self._hardware,
        'eval.eval_batch_size',
        is_training=True,
      )
      memory_saving.check(self._params, self._hardware)
    elif self._trains:
      self._trainer = self._make_estimator(
        self._params, self._hardware, is_training=True
      )
    # Made when it is needed: it may be on a TPU of its own.
    self._evaluator: Any = None

  def _make_estimator(
    self, params: Any, hardware: hardware_lib.Hardware, is_training: bool
  ) -> tf.estimator.Estimator:
    return estimator_factory.make_estimator(
      params,
      model_builder.ModelFn(
        params,
        make_last_hooks=functools.partial(
          training.checkpoint_hooks, params, hardware, self._interrupt
        ),
        make_tpu_scaffold=preemption.OneSessionScaffold,
        writes=hardware.writes,
      ),
      hardware,
      # Evaluation runs on `predict`, with the batch meant for evaluation.
      predict_batch_key='eval.eval_batch_size',
      is_training=is_training,
    )

  def _make_evaluator(self) -> Any:
    hardware = hardware_lib.for_evaluation(self._params, self._hardware)
    params = self._params
    if params.use_tpu and hardware.kind != hardware_lib.TPU:
      params = resolver.without_tpu(params)
    evaluator, mode = evaluation_lib.evaluator_for(params)
    settings = params.eval
    return evaluator(
      params,
      self._make_estimator(params, hardware, is_training=False),
      estimator_factory.GlobalBatchInputFn(
        input_reader.InputFn(
          settings.eval_file_pattern, params, mode, settings.eval_dataset_type
        ),
        settings.eval_batch_size,
      ),
    )

  def print_plan(self, mode: str) -> None:
    cluster = self._hardware.cluster
    if cluster and cluster.is_worker and not cluster.is_chief:
      _log.info(
        'This is %s of %d; plan and progress are in the log of %s.',
        cluster.name(cluster.index),
        cluster.num_workers,
        cluster.name(0),
      )
      return
    if self._is_evaluator:
      mode = 'eval'
    start = None
    if mode != 'eval':
      start = run_start.find(self._params, self._current_step())
    table = plan.plan_table(self._params, self._hardware, mode, start)
    rich.console.Console(soft_wrap=True).print(table)

  def train(self, eval_after_training: bool = False) -> Dict[str, float]:
    """Trains up to `train.total_steps`; returns metrics if evaluated.

    Of several workers the first one evaluates, unless an evaluator is one of
    the processes, which evaluates every checkpoint that appears.
    """
    if self._is_evaluator:
      return self.evaluate()
    evaluates = eval_after_training and self._evaluates_here
    self._check(trains=True, evaluates=evaluates)
    with self._alone():
      self._train_until(self._params.train.total_steps)
      return self._evaluate() if evaluates else {}

  def train_and_eval(self) -> Dict[str, float]:
    """Evaluates after every `eval.num_steps_per_eval` steps and at the end.

    Several workers do not wait for evaluations in between; see `train`.
    """
    if self._hardware.cluster:
      return self.train(eval_after_training=True)
    self._check(trains=True, evaluates=True)
    with self._alone():
      return self._train_and_eval()

  def _train_and_eval(self) -> Dict[str, float]:
    total = self._params.train.total_steps
    step = self._current_step()
    metrics: Dict[str, float] = {}
    while step < total:
      interval = self._params.eval.num_steps_per_eval
      # A resumed run stops where an unbroken one would have.
      step = min((step // interval + 1) * interval, total)
      self._train_until(step)
      metrics = self._evaluate()
    return metrics or self._evaluate()

  @contextlib.contextmanager
  def _alone(self) -> Iterator[None]:
    """The one that writes to the directory makes it ready, and keeps it."""
    if not self._hardware.writes:
      yield
      return
    with sole_training.alone_in(self._params.model_dir) as is_alone:
      if is_alone:
        checkpoint.remove_leftovers(self._params.model_dir)
      checkpoint.prepare(self._params.model_dir)
      yield

  def evaluate(self) -> Dict[str, float]:
    """Evaluates the checkpoints that there are, then new ones as they appear.

    Ends with that of the last step, or when none appears for
    `eval.eval_timeout` seconds.
    """
    if self._hardware.cluster and not self._is_evaluator:
      raise errors.ConfigError(
        '--mode=eval runs in one process, but {} lists {} workers. Unset it, '
        'or give this process the task type evaluator.'.format(
          cluster_lib.VARIABLE, self._hardware.cluster.num_workers
        )
      )
    self._check(trains=False, evaluates=True)
    settings = self._params.eval
    metrics: Dict[str, float] = {}
    _log.info(
      "Waiting for checkpoints in '%s', %s.",
      self._params.model_dir,
      'without end (eval.eval_timeout)'
      if settings.eval_timeout is None
      else '{} s at most for each'.format(settings.eval_timeout),
    )
    checkpoints = checkpoint.appearing(
      self._params.model_dir, settings.min_eval_interval, settings.eval_timeout
    )
    waiting = evaluation_lib.checkpoints_to_score(self._params)
    names = {os.path.basename(path) for path in waiting}
    newer = (p for p in checkpoints if os.path.basename(p) not in names)
    for path in itertools.chain(waiting, newer):
      try:
        metrics = self._evaluate(path)
      except (
        tf.errors.NotFoundError,
        checkpoint.UnreadableCheckpointError,
        ValueError,
      ) as error:
        if _concerns_the_user(error) or checkpoint.exists(path):
          raise
        _log.warning('%s was deleted before it was evaluated.', path)
        continue
      if checkpoint.step_of(path) >= self._params.train.total_steps:
        return metrics
    if not metrics:
      raise errors.UserError(
        "No checkpoint appeared in model_dir '{}' within {} s "
        '(eval.eval_timeout).'.format(
          self._params.model_dir, settings.eval_timeout
        )
      )
    _log.info('No new checkpoint for %s s.', settings.eval_timeout)
    return metrics

  @property
  def _is_evaluator(self) -> bool:
    cluster = self._hardware.cluster
    return cluster is not None and not cluster.is_worker

  @property
  def _evaluates_here(self) -> bool:
    cluster = self._hardware.cluster
    return cluster is None or (cluster.is_chief and not cluster.has_evaluator)

  def _current_step(self) -> int:
    latest = checkpoint.find_latest(self._params.model_dir)
    return checkpoint.step_of(latest) if latest else 0

  def _train_until(self, step: int) -> None:
    start_step = self._current_step()
    if start_step >= step:
      _log.warning(
        "model_dir '%s' already holds step %d; training up to %d has nothing "
        'to do.',
        self._params.model_dir,
        start_step,
        step,
      )
      return
    if self._hardware.kind != hardware_lib.TPU:
      self._train_once(step)
      return
    preemption.run_to_the_end(
      lambda: self._train_once(step),
      is_lost=self._is_lost,
      recover=self._recover,
      step=self._current_step,
      last_step=step,
    )

  def _train_once(self, step: int) -> None:
    settings = self._params.train
    input_fn = estimator_factory.GlobalBatchInputFn(
      input_reader.InputFn(
        settings.train_file_pattern,
        self._params,
        mode_keys.TRAIN,
        settings.train_dataset_type,
        start_step=self._current_step(),
      ),
      settings.train_batch_size,
    )
    # The others are told of an error when it is explained.
    with self._meeting(), failures.naming_bad_records(
      self._params, settings.train_file_pattern
    ):
      if self._hardware.cluster:
        self._trainer = self._make_estimator(
          self._params, self._hardware, is_training=True
        )
      training.train(
        self._trainer,
        input_fn,
        self._params,
        self._hardware,
        step,
        self._interrupt,
        self._memory_hook,
      )
    model_dir = self._params.model_dir
    self._interrupt.raise_if_stopped(
      model_dir, checkpoint.find_latest(model_dir)
    )

  def _meeting(self) -> ContextManager[Any]:
    """What holds this worker and the others together while they train."""
    cluster = self._hardware.cluster
    if cluster is None:
      return contextlib.nullcontext()
    report = meeting.Report(
      config=meeting.comparable_config(self._params),
      num_devices=self._hardware.num_replicas // cluster.num_workers,
      step=self._current_step(),
    )
    return meeting.Meeting(cluster, report, self._params.model_dir)

  def _is_lost(self, error: Exception) -> bool:
    return preemption.is_lost(error, self._params.platform)

  def _recover(self) -> None:
    self._find_hardware(awaits_new_tpu=True)

  def _evaluate(self, path: Optional[str] = None) -> Dict[str, float]:
    if (
      self._hardware.kind != hardware_lib.TPU
      or not hardware_lib.evaluates_on_tpu(self._params)
    ):
      return self._evaluate_once(path)
    is_elsewhere = self._params.platform.eval_master
    return preemption.repeat_if_lost(
      lambda: self._evaluate_once(path),
      # What the API tells of `platform.tpu` does not matter elsewhere.
      is_lost=preemption.is_disconnected if is_elsewhere else self._is_lost,
      recover=self._forget_evaluator if is_elsewhere else self._recover,
    )

  def _forget_evaluator(self) -> None:
    """The next one connects anew."""
    self._evaluator = None

  def _evaluate_once(self, path: Optional[str]) -> Dict[str, float]:
    with failures.naming_bad_records(
      self._params, self._params.eval.eval_file_pattern
    ):
      return self._evaluate_checkpoint(path)

  def _evaluate_checkpoint(self, path: Optional[str]) -> Dict[str, float]:
    if self._evaluator is None:
      self._evaluator = self._make_evaluator()
    return self._evaluator.evaluate(path)

  def _check(self, trains: bool, evaluates: bool) -> None:
    """Finds what cannot work before a graph is built or hours pass."""
    run_check.check(
      self._params, trains, evaluates, self._current_step() if trains else 0
    )
    if evaluates:
      self._evaluator = self._make_evaluator()


def _concerns_the_user(error: Exception) -> bool:
  """Whether an error says more than that a checkpoint is gone."""
  return isinstance(error, errors.UserError) and not isinstance(
    error, checkpoint.UnreadableCheckpointError
  )
