"""Splits, label map and annotations among the files of a folder."""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from utils import errors

_RECORDS = re.compile(
  r'(?P<split>.+?)(-\d+-of-(?P<count>\d+))?(?P<ending>(\.(tf)?records?)?)'
)
# What the name of a split begins with; the first one that is there.
_TRAIN, _EVALUATION = ('train',), ('val', 'eval', 'dev', 'test')


class RecordSets(NamedTuple):
  """Files of a training, by the names of their flags and parameters.

  Attributes:
    train_file_pattern, eval_file_pattern: of records.
    val_json_file: COCO json of the latter; '' if there is none.
    label_map_file: '' if there is none.
    unused: splits that are left.
  """

  train_file_pattern: str
  eval_file_pattern: str
  val_json_file: str
  label_map_file: str
  unused: List[str]


# What a person may name.
GIVEN = RecordSets._fields[:-1]


def find(records: str, given: Dict[str, Optional[str]]) -> RecordSets:
  """Finds what belongs together by its names.

  Args:
    records: a folder; or a file or pattern of the training records, beside
      which the rest lies.
    given: what is known already, by field of `RecordSets`; None otherwise.

  Raises:
    ConfigError: there is nothing of that name.
    DataError: a split is missing.
  """
  is_folder = tf.io.gfile.isdir(records)
  folder = records if is_folder else os.path.dirname(records)
  # A pattern of an absent folder cannot be searched.
  if not tf.io.gfile.isdir(folder or '.') or not (
    is_folder or tf.io.gfile.glob(records.split(','))
  ):
    raise errors.ConfigError(
      f"RECORDS: '{records}' is no folder of records, and no file. Give the "
      '--output_dir of tools/create_tf_record.py, or a pattern.'
    )
  patterns = _patterns(folder)
  split = _first(patterns, _EVALUATION)
  train = patterns.get(_first(patterns, _TRAIN)) if is_folder else records
  chosen = {
    'train_file_pattern': given['train_file_pattern'] or train,
    'eval_file_pattern': given['eval_file_pattern'] or patterns.get(split),
  }
  for name, pattern in chosen.items():
    if not pattern:
      raise errors.DataError(
        f"'{folder}' has no records of {name}: there are "
        + (', '.join(map(repr, patterns)) or 'none')
        + f'. Name them with --{name}, or divide the images with '
        'tools/create_tf_record.py --split=0.8,0.2.'
      )

  def beside(name: str) -> str:
    path = os.path.join(folder, name)
    return path if tf.io.gfile.exists(path) else ''

  # Of a split that was named, nothing is known.
  found = '' if given['eval_file_pattern'] else beside(f'{split}.json')
  return RecordSets(
    **chosen,
    val_json_file=given['val_json_file'] or found,
    label_map_file=given['label_map_file'] or beside('label_map.txt'),
    unused=[s for s, p in patterns.items() if p not in chosen.values()],
  )


def _patterns(folder: str) -> Dict[str, str]:
  """The pattern of the records of each split."""
  patterns: Dict[str, str] = {}
  for name in sorted(tf.io.gfile.listdir(folder or '.')):
    split, count, ending = _RECORDS.fullmatch(name).group(
      'split', 'count', 'ending'
    )
    if count or ending:
      shards = f'-*-of-{count}' if count else ''
      path = os.path.join(folder, f'{split}{shards}{ending}')
      if patterns.setdefault(split, path) != path:
        raise errors.DataError(
          f"'{folder}' has two sets of records called '{split}', "
          f"'{patterns[split]}' and '{path}'. Delete the older one."
        )
  return patterns


def _first(patterns: Dict[str, str], starts: Sequence[str]) -> str:
  for start in starts:
    for split in sorted(patterns, key=len):
      if split.lower().startswith(start):
        return split
  return ''
