"""TFRecord files of a pattern."""

import concurrent.futures
import os
import re
from typing import List, Optional

import tensorflow.compat.v1 as tf

from utils import errors

# Remote file systems answer slowly, but many at a time.
_NUM_THREADS = 32
_SHARD = re.compile(r'-\d{5}-of-\d{5}\.tfrecord$')


def find_files(
  file_pattern: Optional[str],
  key: str = 'train.train_file_pattern or eval.eval_file_pattern',
) -> List[str]:
  """Returns the non-empty list of files of a pattern.

  Args:
    file_pattern: a glob; or a comma-separated list of file names and globs,
      whose order is kept. Files of one glob are sorted. None is an error, as
      '' is.
    key: where the user gave it, for messages.

  Raises:
    DataError: a part matches nothing, a file is empty, or the program that
      wrote the files was killed.
  """
  files = []
  for part in (file_pattern or '').split(','):
    part = part.strip()
    if not part:
      continue
    try:
      matches = sorted(tf.io.gfile.glob(part))
    except tf.errors.OpError as error:
      raise errors.DataError(
        f"File pattern '{part}' cannot be searched: {error.message}. Check "
        f'{key}.'
      ) from error
    if not matches:
      # Of flags it is not.
      in_front = '--data_dir, if given, stands in front of it, and '
      raise errors.DataError(
        f"No file matches '{part}'. Check {key}; "
        f'{in_front if "." in key else ""}a relative path starts where the '
        'program is run.'
      )
    files.extend(matches)
  if not files:
    raise errors.DataError(
      f'No file pattern is given. Set {key} to a glob of TFRecord files.'
    )
  _check_not_empty(files, key)
  _check_finished(files)
  return files


def unfinished_marker(prefix: str) -> str:
  """Returns the file that tells that shards of a prefix are not all there.

  It is beside PREFIX-?????-of-?????.tfrecord while these get their names.
  """
  folder, name = os.path.split(prefix)
  return os.path.join(folder, f'.{name}.unfinished')


def _check_finished(files: List[str]) -> None:
  prefixes = {_SHARD.sub('', name) for name in files if _SHARD.search(name)}
  for prefix in sorted(prefixes):
    if tf.io.gfile.exists(unfinished_marker(prefix)):
      raise errors.DataError(
        f"'{prefix}-*.tfrecord' are not all there: what wrote them was killed. "
        'Run it again.'
      )


def _check_not_empty(files: List[str], key: str) -> None:
  with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    stats = list(pool.map(tf.io.gfile.stat, files))
  empty = [
    name
    for name, stat in zip(files, stats)
    if stat.length == 0 and not stat.is_directory
  ]
  folders = [name for name, stat in zip(files, stats) if stat.is_directory]
  if folders:
    raise errors.DataError(
      "'{}' is a folder, not a TFRecord file. Check {}: a pattern like "
      "'{}/*.tfrecord' takes its files.".format(
        folders[0], key, folders[0].rstrip('/')
      )
    )
  if empty:
    raise errors.DataError(
      "TFRecord file '{}' is empty{}. Write it again or delete it.".format(
        empty[0],
        f' (and {len(empty) - 1} more)' if empty[1:] else '',
      )
    )
