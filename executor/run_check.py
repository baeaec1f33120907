"""Whether what a run needs is there, before a graph is built or hours pass."""

import logging
from typing import Any

from dataloader import record_files
from evaluation import groundtruth_agreement
from executor import evaluation, failures, run_start, run_warnings
from executor import hardware as hardware_lib

_log = logging.getLogger(__name__)


def check(params: Any, trains: bool, evaluates: bool, step: int = 0) -> None:
  """Looks at settings and files, and not for the hardware.

  What works, but is hardly meant, is warned of.

  Args:
    params: the whole config.
    trains: whether the run trains.
    evaluates: whether it evaluates.
    step: that training goes on from.

  Raises:
    ConfigError: a setting cannot work.
    DataError: records, annotations or the label map cannot be used.
  """
  evaluation.check_settings(params, evaluates)
  if evaluates and params.use_tpu:
    hardware_lib.check_evaluation_place(params)
  if trains:
    start = run_start.find(params, step)
    for text in run_warnings.find(params, start):
      _log.warning('%s', text)
  if not evaluates:
    return
  settings = params.eval
  record_files.find_files(settings.eval_file_pattern)
  if settings.type == evaluator_registry.LOSSES_ALONE:
    return
  with failures.naming_bad_records(params, settings.eval_file_pattern):
    groundtruth_agreement.check(
      settings.eval_file_pattern,
      settings.val_json_file if settings.use_json_file else None,
      settings.label_map_file,
      settings.eval_samples,
      params.retinanet_parser.regenerate_source_id,
    )
