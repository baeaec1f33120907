"""Check of all data that a config names."""

from typing import Any, List, Optional, Sequence

import tensorflow.compat.v1 as tf

from dataloader import record_check, record_files
from evaluation import annotation_file
from evaluation.dataset import (
  agreement_checks,
  check_list,
  object_checks,
  pictures,
  record_checks,
  record_scan,
)
from evaluation.dataset.check_list import EVALUATION, TRAINING
from utils import errors, label_map

CHECKS = (
  *record_checks.CHECKS,
  *object_checks.CHECKS,
  *agreement_checks.CHECKS,
)
# Of each set, before a training.
_NUM_SAMPLED = 200


def load(
  params: Any,
  parts: Sequence[str] = (TRAINING, EVALUATION),
  most: Optional[int] = None,
  decode_images: bool = False,
  num_workers: int = 1,
) -> check_list.Data:
  """Reads what a config names.

  Args:
    params: the whole config.
    parts: names of the sets to read, where the config gives their files.
    most: about how many records of each set to read, and no annotation file;
      all if None.
    decode_images: whether to decode all images, on all cores.
    num_workers: processes that read the training files together.

  Raises:
    errors.DataError: files are missing or empty, or the annotation file or the
      label map cannot be used.
    errors.ConfigError: the config names none.
  """
  settings = params.eval.as_dict()
  path, names, annotations = settings.get('label_map_file'), {}, None
  # A run that only trains does without.
  if path and (EVALUATION in parts or tf.io.gfile.exists(path)):
    names = label_map.read_label_map(path)
  path = settings.get('use_json_file') and settings.get('val_json_file')
  if path and not most:
    annotations = annotation_file.load_annotations(path)
  data = check_list.Data(
    params,
    record_check.to_learn(params),
    names,
    annotations,
    num_workers,
    parts=[],
  )
  patterns = dict(params.leaves())
  for name in parts:
    key = check_list.KEYS[name]
    if not patterns[key]:
      continue
    files = record_files.find_files(patterns[key], key)
    reader = pictures.PictureReader() if decode_images else None
    contents = record_scan.scan(files, most, reader and reader.add)
    seen = reader and reader.pictures()
    data.parts.append(check_list.Part(name, data, contents, seen))
  if not data.parts:
    raise errors.ConfigError(
      'The config names no data: set train.train_file_pattern and '
      'eval.eval_file_pattern to globs of TFRecord files.'
    )
  return data


def check(
  data: check_list.Data, is_sample: bool = False
) -> List[check_list.Finding]:
  """Runs all checks; errors come first."""
  findings = [
    each.run(part, is_sample) for each in CHECKS for part in data.parts
  ]
  return sorted(filter(None, findings), key=lambda found: not found.is_error)


def check_first_records(
  params: Any, trains: bool, evaluates: bool, num_workers: int = 1
) -> List[str]:
  """Looks at the first records of the sets of a run.

  Args:
    params: the whole config.
    trains: whether the run trains. An evaluation alone is not stopped.
    evaluates: whether it evaluates by an evaluator.
    num_workers: processes that read the training files together.

  Returns:
    What is wrong.

  Raises:
    errors.DataError: of an error, before a training.
  """
  runs = {TRAINING: trains, EVALUATION: evaluates}
  parts = [name for name in runs if runs[name]]
  if not parts:
    return []
  findings = check(
    load(params, parts, _NUM_SAMPLED, num_workers=num_workers), is_sample=True
  )
  more = sum(found.is_error for found in findings[1:])
  if trains and findings and findings[0].is_error:
    others = f' And {more} more error{"s" if more > 1 else ""}.' if more else ''
    raise errors.DataError(
      f'{findings[0]}{others} '
      'tools/check_dataset.py shows all; --nocheck_data trains all the same.'
    )
  return [str(found) for found in findings]
