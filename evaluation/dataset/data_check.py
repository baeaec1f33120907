"""Check of all data that a config names."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

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
from utils import errors, label_map

CHECKS = (
  *record_checks.CHECKS,
  *object_checks.CHECKS,
  *agreement_checks.CHECKS,
)
# Of each set, before a training.
_NUM_SAMPLED = 200
_PATTERNS = {
  check_list.TRAINING: ('train', 'train_file_pattern'),
  check_list.EVALUATION: ('eval', 'eval_file_pattern'),
}


class Finding(NamedTuple):
  """What a check found in a set."""

  check: check_list.Check
  part: check_list.Part
  found: check_list.Found

  @property
  def severity(self) -> str:
    return self.found.severity or self.check.severity

  @property
  def is_error(self) -> bool:
    return self.severity == check_list.ERROR

  @property
  def remedy(self) -> str:
    return self.found.remedy or self.check.remedy

  @property
  def count(self) -> str:
    return f'{self.found.count:,} {self.found.of}'

  def __str__(self) -> str:
    example = f', such as {self.found.example}' if self.found.example else ''
    return '{}: {} ({}){}{} {}'.format(
      self.part.key,
      self.check.title,
      self.count,
      example,
      '' if example.endswith('.') else '.',
      self.remedy,
    )


def load(
  params: Any,
  parts: Sequence[str] = (check_list.TRAINING, check_list.EVALUATION),
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
    errors.DataError: files are missing, or empty.
    errors.ConfigError: the config names none.
  """
  read: List[check_list.Part] = []
  for name in parts:
    block, field = _PATTERNS[name]
    pattern, key = getattr(getattr(params, block), field), f'{block}.{field}'
    if not pattern:
      continue
    files = record_files.find_files(pattern, key)
    reader = pictures.PictureReader() if decode_images else None
    contents = (
      record_scan.scan(files, most, reader.add)
      if reader
      else record_scan.scan(files, most)
    )
    read.append(
      check_list.Part(name, key, contents, reader and reader.pictures())
    )
  if not read:
    raise errors.ConfigError(
      'The config names no data: set train.train_file_pattern and '
      'eval.eval_file_pattern to globs of TFRecord files.'
    )
  unreadable: List[str] = []
  names, annotations = _texts(params, not most, unreadable)
  return check_list.Data(
    params,
    read,
    record_check.to_learn(params),
    names,
    annotations,
    unreadable,
    num_workers,
  )


def _texts(
  params: Any, reads_annotations: bool, unreadable: List[str]
) -> Tuple[Dict[int, str], Optional[Dict[str, Any]]]:
  """The label map, and the annotation file if it is used."""
  settings = params.eval.as_dict()
  names: Dict[int, str] = {}
  annotations = None
  try:
    if settings.get('label_map_file'):
      names = label_map.read_label_map(settings['label_map_file'])
  except errors.DataError as error:
    unreadable.append(str(error))
  path = settings.get('use_json_file') and settings.get('val_json_file')
  try:
    if path and reads_annotations:
      annotations = annotation_file.load_annotations(path)
  except errors.DataError as error:
    unreadable.append(str(error))
  return names, annotations


def check(data: check_list.Data, is_sample: bool = False) -> List[Finding]:
  """Runs all checks; errors come first."""
  findings = [
    Finding(each, part, found)
    for each in CHECKS
    if each.sampled or not is_sample
    for part in data.parts
    for found in [each.find(data, part)]
    if found
  ]
  return sorted(findings, key=lambda finding: not finding.is_error)


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
  runs = {check_list.TRAINING: trains, check_list.EVALUATION: evaluates}
  parts = [name for name in runs if runs[name]]
  if not parts:
    return []
  data = load(params, parts, _NUM_SAMPLED, num_workers=num_workers)
  if not evaluates:
    # A run that only trains does without.
    data = data._replace(unreadable=())
  findings = check(data, is_sample=True)
  num_errors = sum(finding.is_error for finding in findings)
  if num_errors and trains:
    raise errors.DataError(
      '{}{} tools/check_dataset.py shows all; --nocheck_data trains all the '
      'same.'.format(
        findings[0],
        f' And {num_errors - 1} more errors.' if num_errors > 1 else '',
      )
    )
  return [str(finding) for finding in findings]
