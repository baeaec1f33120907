"""Training, evaluation and both in turn."""

import contextlib
import itertools
import logging
import os
from typing import Any, Dict, Iterator, Optional

import rich.console
import tensorflow.compat.v1 as tf

from configs import resolver
from dataloader import input_reader
from evaluation import report
from executor import (
  best_checkpoint,
  early_stop,
  estimator_factory,
  failures,
  plan,
  run_check,
  run_start,
  sole_training,
  step_trace,
  time_spent,
  training,
  training_set,
)
from executor import evaluation as evaluation_lib
from executor import hardware as hardware_lib
from executor.multi_worker import cluster as cluster_lib
from executor.tpu import preemption
from modeling import (
  checkpoint,
  checkpoint_repair,
  model_builder,
  weight_averages,
)
from utils import errors

_log = logging.getLogger(__name__)


class Runner:
  """One run of the program in one mode.

  Args:
    params: the whole config, validated and locked.
    trains: whether it may train; if not, it only evaluates.
    profile_steps: 'A,B', see `step_trace.parse`; None traces nothing.
    reports: whether the last evaluation gets a page, `report.html`.
    checks_data: whether to look at the first records before it starts.
  """

  def __init__(
    self,
    params: Any,
    trains: bool = True,
    profile_steps: Optional[str] = None,
    reports: bool = False,
    checks_data: bool = True,
  ):
    run_check.check_model_dir(params)
    run_check.check_settings(params, evaluates=not trains)
    traced_steps = None
    if profile_steps is not None:
      step = checkpoint.latest_step(params.model_dir)
      traced_steps = step_trace.parse(profile_steps, params, step, trains)
    self._params = params
    self._model_dir = params.model_dir
    self._trains = trains
    self._reports = reports
    self._checks_data = checks_data
    if reports:
      evaluation_lib.check_report(params)
    self._trainer = training.Trainer(params, traced_steps)
    self._find_hardware()

  def _find_hardware(self, awaits_new_tpu: bool = False) -> None:
    detect = (
      hardware_lib.detect
      if self._trains
      else hardware_lib.detect_for_evaluation
    )
    self._hardware = detect(self._params, awaits_new_tpu)
    if self._trains:
      run_check.check_hardware(self._params, self._hardware, is_training=True)
    # Made when it is needed: it may be on a TPU of its own.
    self._evaluator: Any = None

  def _print_plan(self, mode: str) -> None:
    """Prints what `mode` is about to do."""
    cluster = self._hardware.cluster
    if cluster and cluster.is_worker and not cluster.is_chief:
      _log.info(
        'This is %s of %d; plan and progress are in the log of %s.',
        cluster.name(cluster.index),
        cluster.num_workers,
        cluster.name(0),
      )
      return
    start = learned = None
    if mode != 'eval':
      step = checkpoint.latest_step(self._model_dir)
      start = run_start.find(self._params, step)
      if self._checks_data:
        learned = training_set.look(self._params)
    table = plan.plan_table(self._params, self._hardware, mode, start, learned)
    rich.console.Console(soft_wrap=True).print(table)

  def train(self, eval_after_training: bool = False) -> Dict[str, float]:
    """Trains up to `train.total_steps`; returns metrics if evaluated.

    Of several workers the first one evaluates, unless an evaluator is one of
    the processes, which evaluates every checkpoint that appears.
    """
    if self._is_evaluator:
      return self.evaluate()
    if self._reports and not eval_after_training:
      raise errors.ConfigError(
        '--report: --mode=train evaluates nothing; give --eval_after_training, '
        'too.'
      )
    evaluates = eval_after_training and self._evaluates_here
    with self._begun('train', evaluates):
      if not self._is_stopped_early():
        self._train_until(self._params.train.total_steps)
        # Evaluations elsewhere may have ended it.
        self._is_stopped_early()
      return self._ended(self._evaluate()) if evaluates else {}

  def train_and_eval(self) -> Dict[str, float]:
    """Evaluates after every `eval.num_steps_per_eval` steps and at the end.

    Several workers do not wait for evaluations in between; see `train`.
    """
    if self._hardware.cluster:
      return self.train(eval_after_training=True)
    total = self._params.train.total_steps
    interval = self._params.eval.num_steps_per_eval
    metrics: Dict[str, float] = {}
    with self._begun('train_and_eval', evaluates=True):
      step = checkpoint.latest_step(self._model_dir)
      if step and step % interval == 0 and not self._is_scored(step):
        # A signal ended the run in this evaluation.
        metrics = self._evaluate()
      while step < total and not self._is_stopped_early():
        # A resumed run stops where an unbroken one would have.
        step = min((step // interval + 1) * interval, total)
        self._train_until(step)
        metrics = self._evaluate()
      return self._ended(metrics or self._evaluate())

  def evaluate(self) -> Dict[str, float]:
    """Evaluates the checkpoints that there are, then new ones as they appear.

    Ends with that of the last step, or when none appears for
    `eval.eval_timeout` seconds.
    """
    if self._hardware.cluster and not self._is_evaluator:
      raise errors.ConfigError(
        f'--mode=eval runs in one process, but {cluster_lib.VARIABLE} lists '
        f'{self._hardware.cluster.num_workers} workers. Unset it, or give '
        'this process the task type evaluator.'
      )
    self._print_plan('eval')
    self._check(trains=False, evaluates=True)
    timeout = self._params.eval.eval_timeout
    metrics: Dict[str, float] = {}
    for path in self._checkpoints():
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
      step, last = checkpoint.step_of(path), self._params.train.total_steps
      if step >= last or (
        best_checkpoint.is_kept_one(self._model_dir) or self._is_stopped_early()
      ):
        return self._ended(metrics)
      if step == checkpoint.latest_step(self._model_dir):
        # The training may have been stopped for good.
        self._report()
        _log.info(
          'Waiting for what is after step %d, up to %d (train.total_steps)'
          + self._time_limit(),
          step,
          last,
        )
    if not metrics:
      raise errors.UserError(
        f"No checkpoint appeared in model_dir '{self._model_dir}' within "
        f'{timeout} s (eval.eval_timeout).'
      )
    _log.info('No new checkpoint for %s s.', timeout)
    return self._ended(metrics)

  def _time_limit(self) -> str:
    timeout = self._params.eval.eval_timeout
    limit = 'without end' if timeout is None else f'{timeout} s at most'
    return f', {limit} (eval.eval_timeout).'

  def _checkpoints(self) -> Iterator[str]:
    """Those that are not scored yet, then those that appear."""
    settings = self._params.eval
    waiting = evaluation_lib.checkpoints_to_score(self._params)
    names = {os.path.basename(path) for path in waiting}
    what = "Evaluating %s of '%s'.", ', '.join(map(os.path.basename, waiting))
    if not waiting:
      what = "Waiting for %s in '%s'" + self._time_limit(), 'checkpoints'
    _log.info(*what, self._model_dir)
    appearing = checkpoint.appearing(
      self._model_dir, settings.min_eval_interval, settings.eval_timeout
    )
    newer = (p for p in appearing if os.path.basename(p) not in names)
    return itertools.chain(waiting, newer)

  def _check(self, trains: bool, evaluates: bool) -> None:
    """Finds what cannot work before a graph is built or hours pass."""
    run_check.check(
      self._params,
      trains,
      evaluates,
      checkpoint.latest_step(self._model_dir) if trains else 0,
      self._checks_data,
    )
    if evaluates:
      self._evaluator = self._make_evaluator()

  @contextlib.contextmanager
  def _begun(self, mode: str, evaluates: bool) -> Iterator[None]:
    """What is around a training, from the look at its directory to its end."""
    with contextlib.ExitStack() as stack:
      if self._hardware.writes:
        stack.enter_context(sole_training.alone_in(self._model_dir))
        checkpoint_repair.remove_leftovers(self._model_dir)
        checkpoint_repair.prepare(self._model_dir)
      self._print_plan(mode)
      self._check(trains=True, evaluates=evaluates)
      if self._hardware.writes:
        weight_averages.begin_or_end(
          self._model_dir, self._params.train.ema_decay
        )
        stack.enter_context(self._trainer.history.ending())
        stack.enter_context(self._trainer.time_spent.printed())
      yield

  @property
  def _is_evaluator(self) -> bool:
    cluster = self._hardware.cluster
    return cluster is not None and not cluster.is_worker

  @property
  def _evaluates_here(self) -> bool:
    cluster = self._hardware.cluster
    return cluster is None or (cluster.is_chief and not cluster.has_evaluator)

  def _train_until(self, step: int) -> None:
    start_step = checkpoint.latest_step(self._model_dir)
    if start_step >= step:
      _log.warning(
        "model_dir '%s' already holds step %d; training up to %d has nothing "
        'to do.',
        self._model_dir,
        start_step,
        step,
      )
      return
    if self._hardware.kind != hardware_lib.TPU:
      self._trainer.train(self._hardware, step)
      return
    preemption.repeat_if_lost(
      lambda: self._trainer.train(self._hardware, step),
      is_lost=self._is_lost,
      recover=self._recover,
      step=lambda: checkpoint.latest_step(self._model_dir),
      last_step=step,
    )

  def _is_stopped_early(self) -> bool:
    why = early_stop.reason(self._params)
    if why:
      _log.info('No more training: %s', why)
      self._trainer.history.why = why
    return bool(why)

  def _is_scored(self, step: int) -> bool:
    history = report.read_history(evaluation_lib.directory_of(self._params))
    return any(entry['step'] == step for entry in history)

  def _ended(self, metrics: Dict[str, float]) -> Dict[str, float]:
    """Shows the metrics of the last checkpoint beside those of the best."""
    step = checkpoint.latest_step(self._model_dir)
    best_checkpoint.BestCheckpoint(self._params).print_beside(metrics, step)
    self._report()
    return metrics

  def _report(self) -> None:
    if self._reports:
      evaluation_lib.write_report(self._params)

  def _evaluate(self, path: Optional[str] = None) -> Dict[str, float]:
    """Evaluates a checkpoint, by default the latest."""
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

  def _evaluate_once(self, path: Optional[str]) -> Dict[str, float]:
    with self._trainer.time_spent.spending(
      time_spent.EVALUATION
    ), failures.naming_bad_records(
      self._params,
      self._params.eval.eval_file_pattern,
      evaluation_lib.contents_of_records(self._params),
    ):
      if self._evaluator is None:
        self._evaluator = self._make_evaluator()
      return self._evaluator.evaluate(path)

  def _make_evaluator(self) -> Any:
    hardware = hardware_lib.for_evaluation(self._params, self._hardware)
    params = self._params
    if params.use_tpu and hardware.kind != hardware_lib.TPU:
      params = resolver.without_tpu(params)
    run_check.check_hardware(params, hardware, is_training=False)
    evaluator, mode = evaluation_lib.evaluator_for(params)
    settings = params.eval
    return evaluator(
      params,
      estimator_factory.make_estimator(
        params,
        model_builder.ModelFn(
          params,
          make_tpu_scaffold=preemption.OneSessionScaffold,
          writes=hardware.writes,
        ),
        hardware,
        is_training=False,
      ),
      estimator_factory.GlobalBatchInputFn(
        input_reader.InputFn(
          settings.eval_file_pattern, params, mode, settings.eval_dataset_type
        ),
        settings.eval_batch_size,
      ),
    )

  def _is_lost(self, error: Exception) -> bool:
    return preemption.is_lost(error, self._params.platform)

  def _recover(self) -> None:
    self._find_hardware(awaits_new_tpu=True)

  def _forget_evaluator(self) -> None:
    """The next one connects anew."""
    self._evaluator = None


def _concerns_the_user(error: Exception) -> bool:
  """Whether an error says more than that a checkpoint is gone."""
  return isinstance(error, errors.UserError) and not isinstance(
    error, checkpoint.UnreadableCheckpointError
  )
