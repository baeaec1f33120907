"""Checks of a run before a graph is built or hours pass."""

import logging
import os
import tempfile
from typing import Any, Iterator

import tensorflow.compat.v1 as tf

from dataloader import record_check
from evaluation import evaluator_registry
from evaluation.dataset import data_check
from executor import (
  evaluation,
  failures,
  global_batch,
  run_start,
  run_warnings,
)
from executor import hardware as hardware_lib
from modeling import checkpoint, learning_rates
from modeling import factory as model_factory
from modeling.training import optimizers
from utils import errors, files

_log = logging.getLogger(__name__)


def check_model_dir(params: Any) -> None:
  """Raises ConfigError if there is no place for the run's files.

  Whether a bucket takes any shows when the training locks it.
  """
  if not params.model_dir:
    raise errors.ConfigError(
      "model_dir is not set. Give the directory for this run's files with "
      '--model_dir, or in the config.'
    )
  if tf.gfile.Exists(params.model_dir) and not tf.gfile.IsDirectory(
    params.model_dir
  ):
    raise errors.ConfigError(
      f"model_dir: '{params.model_dir}' is a file. Give a directory; it is "
      'made if it does not exist.'
    )
  if files.is_remote(params.model_dir):
    return
  directory = os.path.abspath(params.model_dir)
  while not os.path.lexists(directory):
    directory = os.path.dirname(directory)
  try:
    with tempfile.TemporaryFile(dir=directory, buffering=0) as probe:
      probe.write(b'x')
  except OSError as error:
    raise errors.ConfigError(
      f"model_dir: nothing can be written to '{params.model_dir}'. "
      f'{failures.explain(error)}'
    ) from error


def check(
  params: Any,
  trains: bool,
  evaluates: bool,
  step: int = 0,
  checks_data: bool = True,
) -> None:
  """Looks at settings and files, and not for the hardware.

  What works, but is hardly meant, is warned of.

  Args:
    params: the whole config.
    trains: whether the run trains.
    evaluates: whether it evaluates.
    step: that training goes on from.
    checks_data: whether to look at the first records of the sets, too.

  Raises:
    ConfigError: a setting cannot work.
    UserError: the checkpoint of a warm start does not exist.
    DataError: records, annotations or the label map cannot be used.
  """
  check_settings(params, evaluates)
  if trains:
    optimizers.OPTIMIZERS.get(params.train.optimizer.type)
    learning_rates.SCHEDULES.get(params.train.learning_rate.type)
    start = run_start.find(params, step)
    for key in record_check.training_keys(params):
      record_check.check_contents(params.lookup(key), params, key)
    for text in run_warnings.find(params, start):
      _log.warning('%s', text)
    if params.train.checkpoint.path and not start.step:
      checkpoint.resolve_checkpoint(params.train.checkpoint.path)
  settings = params.eval
  if checks_data:
    scores = evaluates and settings.type != evaluator_registry.LOSSES_ALONE
    num_hosts = hardware_lib.num_hosts(params)
    for text in data_check.check_first_records(
      params, trains, scores, num_hosts
    ):
      _log.warning('%s', text)
  if not evaluates:
    return
  contents = evaluation.contents_of_records(params)
  record_check.check_contents(
    settings.eval_file_pattern, params, 'eval.eval_file_pattern', contents
  )
  if settings.type == evaluator_registry.LOSSES_ALONE:
    return
  with failures.naming_bad_records(
    params, settings.eval_file_pattern, contents
  ):
    evaluator_registry.EVALUATORS.get(settings.type).check(params)


def check_settings(params: Any, evaluates: bool) -> None:
  """Raises ConfigError for what the config alone says to be wrong.

  Args:
    params: the whole config.
    evaluates: whether the run evaluates; if not, little of that matters.
  """
  evaluation.check_settings(params, evaluates)
  # It misses the files that it needs.
  model = model_factory.model_generator(params)
  num_parts = params.train.gradient_accumulation_steps
  if num_parts > 1 and not model.losses_add_up:
    raise errors.ConfigError(
      f'train.gradient_accumulation_steps: {num_parts} is not possible with '
      f"'{params.type}', whose losses do not add up over parts of a batch. "
      'Use 1.'
    )
  if evaluates and params.use_tpu:
    check_evaluation_place(params)


def check_evaluation_place(params: Any) -> None:
  """Finds out whether a run with a TPU has a place to evaluate.

  Args:
    params: the whole config, with `use_tpu`.

  Raises:
    ConfigError: a pod cannot evaluate; `platform.eval_master` is no address.
  """
  master, local = params.platform.eval_master, hardware_lib.LOCAL
  if master and master != local and not master.startswith('grpc://'):
    raise errors.ConfigError(
      f"platform.eval_master: '{master}' is neither the grpc://host:port "
      f"address of a TPU nor '{local}', this machine (--eval_master)."
    )
  num_cores, most = params.train.num_shards, hardware_lib.CORES_PER_HOST
  if not master and num_cores > most:
    raise errors.ConfigError(
      f'platform.eval_master: null, but a pod ({num_cores} cores, '
      f'train.num_shards) cannot evaluate; {most} cores can. Give the '
      f"grpc://host:port address of another TPU or '{local}' with "
      '--eval_master, or use --mode=eval elsewhere.'
    )


def check_hardware(
  params: Any, hardware: hardware_lib.Hardware, is_training: bool
) -> None:
  """Raises ConfigError for the first of `hardware_problems`."""
  for problem in hardware_problems(params, hardware, is_training):
    raise errors.ConfigError(problem)


def hardware_problems(
  params: Any, hardware: hardware_lib.Hardware, is_training: bool
) -> Iterator[str]:
  """Yields a message for each setting that cannot work on the hardware.

  Args:
    params: the whole config.
    hardware: of `hardware.detect` or `hardware.for_evaluation`.
    is_training: whether it trains there, or evaluates.
  """
  tries = params.train.recover_from_blow_ups
  if is_training and hardware.cluster and tries:
    yield (
      f'train.recover_from_blow_ups: {tries} is for a single process, and this '
      'run has several workers. Set it to 0.'
    )
  if is_training:
    yield from _memory_saving_problems(params.train, params, hardware)
  problem = global_batch.batch_of(params, hardware, is_training).problem
  if problem:
    yield problem


def _memory_saving_problems(
  train: Any, params: Any, hardware: hardware_lib.Hardware
) -> Iterator[str]:
  norm = params.batch_norm_activation
  is_tpu = hardware.kind == hardware_lib.TPU
  # The exchange between replicas can stand in no loop, and is not repeated.
  shares_statistics = (
    not is_tpu
    and hardware.num_replicas > 1
    and norm.use_sync_bn
    and norm.batch_norm_trainable
  )
  if shares_statistics:
    for name, off in (
      ('gradient_accumulation_steps', 1),
      ('recompute_grad', False),
    ):
      if getattr(train, name) != off:
        yield (
          f'train.{name}: {getattr(train, name)} does not go with '
          'batch_norm_activation.use_sync_bn: true on '
          f'{hardware.description}. Set one of them to its default.'
        )
  if train.recompute_grad and is_tpu:
    yield (
      'train.recompute_grad: true saves nothing on a TPU, where XLA merges '
      'what is computed twice. Set it to false; '
      'train.gradient_accumulation_steps saves memory there, too.'
    )
  if train.mixed_precision and hardware.kind != hardware_lib.GPU:
    yield (
      'train.mixed_precision: true is for GPUs, and this run is on {}. Set it '
      'to false{}.'.format(
        hardware.description,
        '; a TPU has architecture.use_bfloat16' if is_tpu else '',
      )
    )
