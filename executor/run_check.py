"""Whether what a run needs is there, before a graph is built or hours pass."""

from typing import Any

from dataloader import record_files
from evaluation import annotation_file
from executor import evaluation
from executor import hardware as hardware_lib
from utils import label_map


def check(params: Any, trains: bool, evaluates: bool) -> None:
  """Looks at settings and files, and not for the hardware.

  Args:
    params: the whole config.
    trains: whether the run trains.
    evaluates: whether it evaluates.

  Raises:
    ConfigError: a setting cannot work.
    DataError: records, annotations or the label map cannot be used.
  """
  evaluation.check_settings(params, evaluates)
  if evaluates and params.use_tpu:
    hardware_lib.check_evaluation_place(params)
  if trains:
    record_files.find_files(params.train.train_file_pattern)
  if not evaluates:
    return
  settings = params.eval
  record_files.find_files(settings.eval_file_pattern)
  if settings.use_json_file and settings.val_json_file:
    annotation_file.load_annotations(settings.val_json_file)
  if settings.label_map_file:
    label_map.read_label_map(settings.label_map_file)
