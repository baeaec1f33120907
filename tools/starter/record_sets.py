"""Splits, label map and annotations among the files of a folder."""

import os
import re
from typing import NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from utils import errors

# What the name of a split begins with; the first one that is there.
_TRAIN, _EVALUATION = ('train',), ('val', 'eval', 'dev', 'test')
_SHARD = re.compile(r'-\d+-of-')
_ENDING = re.compile(r'(-(\d+|\*)-of-\d+)?(\.(tf)?records?)?$')


class RecordSets(NamedTuple):
  """Files of a training, by the names of their parameters.

  Attributes:
    train_file_pattern, eval_file_pattern: of records.
    val_json_file: COCO json of the latter; '' if there is none.
    label_map_file: '' if there is none.
  """

  train_file_pattern: str
  eval_file_pattern: str
  val_json_file: str
  label_map_file: str


def find(records: str, eval_file_pattern: Optional[str] = None) -> RecordSets:
  """Finds what belongs together by its names.

  Args:
    records: a folder; or a file or pattern of the training records, beside
      which the rest lies.
    eval_file_pattern: of the records to evaluate with, if that is known.

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
  train = _pattern(folder, _TRAIN) if is_folder else records
  evaluated = eval_file_pattern or _pattern(folder, _EVALUATION)
  for pattern, split, way in (
    (train, 'training', 'a pattern in place of the folder'),
    (evaluated, 'evaluation', '--eval_file_pattern'),
  ):
    if not pattern:
      raise errors.DataError(
        f"'{folder}' has no records of {split}, by their names. Name them with "
        f'{way}, or divide the images with tools/create_tf_record.py '
        '--split=0.8,0.2.'
      )
  found = (
    path if tf.io.gfile.exists(path) else ''
    for path in (
      _ENDING.sub('', evaluated) + '.json',
      os.path.join(folder, 'label_map.txt'),
    )
  )
  return RecordSets(train, evaluated, *found)


def _pattern(folder: str, starts: Sequence[str]) -> str:
  """Of the records of a split, '' if there are none."""
  names = tf.io.gfile.listdir(folder or '.')
  for start in starts:
    found = {
      _SHARD.sub('-*-of-', name)
      for name in names
      if name.lower().startswith(start) and _ENDING.search(name).group()
    }
    if len(found) > 1:
      raise errors.DataError(
        f"'{folder}' has several sets of records called '{start}': "
        f'{", ".join(sorted(found))}. Delete the older ones, or give a pattern.'
      )
    if found:
      return os.path.join(folder, *found)
  return ''
