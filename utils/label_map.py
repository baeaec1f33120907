"""Label maps: text files that give class ids their names."""

import os
from typing import Dict

import tensorflow.compat.v1 as tf

from utils import errors


def read_label_map(path: str) -> Dict[int, str]:
  """Reads a label map.

  Each line is `id:name`; the first colon splits. Blank lines are skipped.

  Args:
    path: local or remote (gs://) text file in UTF-8.

  Returns:
    Class names by class id, in the order of the file.

  Raises:
    errors.DataError: the file cannot be read, a line has another form, an id
      or a name occurs twice, or there is no class.
  """
  try:
    with tf.io.gfile.GFile(path) as source:
      lines = source.read().splitlines()
  except (tf.errors.OpError, UnicodeDecodeError) as error:
    # TensorFlow puts the path in front.
    reason = str(error).rpartition('; ')[2]
    raise errors.DataError(
      '{}: the label map cannot be read: {}.'.format(path, reason)
    ) from error
  names: Dict[int, str] = {}
  for number, line in enumerate(lines, start=1):
    if not line.strip():
      continue
    class_id, colon, name = (part.strip() for part in line.partition(':'))
    if not (colon and name and class_id.isdigit()):
      raise errors.DataError(
        "{}, line {}: '{}' is not of the form `id:name`, for instance "
        '`1:person`.'.format(path, number, line)
      )
    if int(class_id) in names or name in names.values():
      raise errors.DataError(
        "{}, line {}: '{}' repeats an id or a name of an earlier line.".format(
          path, number, line
        )
      )
    names[int(class_id)] = name
  if not names:
    raise errors.DataError(
      '{}: the label map is empty; it needs a line `id:name` for each '
      'class.'.format(path)
    )
  return names


def write_label_map(path: str, names: Dict[int, str]) -> None:
  """Writes class names by id as lines `id:name`, sorted by id."""
  temporary = '{}.{}.tmp'.format(path, os.getpid())
  with tf.io.gfile.GFile(temporary, 'w') as target:
    for class_id, name in sorted(names.items()):
      target.write('{}:{}\n'.format(class_id, name))
  tf.io.gfile.rename(temporary, path, overwrite=True)
