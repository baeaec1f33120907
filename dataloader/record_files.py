"""TFRecord files of a pattern."""

import concurrent.futures
from typing import List, Optional

import tensorflow.compat.v1 as tf

from utils import errors

# Remote file systems answer slowly, but many at a time.
_NUM_THREADS = 32


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
    DataError: a part matches nothing, or a file is empty.
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
      raise errors.DataError(
        f"No file matches '{part}'. Check {key}; --data_dir, if given, stands "
        'in front of it, and a relative path starts where the program is run.'
      )
    files.extend(matches)
  if not files:
    raise errors.DataError(
      f'No file pattern is given. Set {key} to a glob of TFRecord files.'
    )
  _check_not_empty(files)
  return files


def _check_not_empty(files: List[str]) -> None:
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
      "'{}' is a folder, not a TFRecord file. A pattern like '{}/*.tfrecord' "
      'takes its files.'.format(folders[0], folders[0].rstrip('/'))
    )
  if empty:
    raise errors.DataError(
      "TFRecord file '{}' is empty{}. Write it again or delete it.".format(
        empty[0],
        f' (and {len(empty) - 1} more)' if empty[1:] else '',
      )
    )
