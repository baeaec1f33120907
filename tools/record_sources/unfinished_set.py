"""Files of a folder that appear together, at the end, or not at all."""

import contextlib
import os
from typing import Iterator, Sequence

import tensorflow.compat.v1 as tf

from dataloader import record_files
from utils import errors


@contextlib.contextmanager
def hidden_folder(
  folder: str, names: Sequence[str], superseded: Sequence[str]
) -> Iterator[str]:
  """Gives a folder to write to, whose files move to `folder` at the end.

  Nothing stays behind if the block fails; what a run left that was killed is
  removed at the start. Markers keep readers away (see `record_files`) from the
  files until all have moved.

  Args:
    folder: local or remote; made if needed.
    names: of the splits.
    superseded: paths of earlier files, which go at the end.

  Raises:
    errors.DataError: the folder cannot be made.
  """
  temporary = os.path.join(folder, f'.{names[0]}.tmp')
  markers = [record_files.unfinished_marker(name) for name in names]
  is_new = not tf.io.gfile.exists(folder)
  try:
    _remove(temporary)
    tf.io.gfile.makedirs(temporary)
  except tf.errors.OpError as error:
    raise errors.DataError(
      f'{folder}: the output folder cannot be made: {error}'
    ) from error
  try:
    _touch(temporary, markers)
    yield temporary
    files = sorted(set(tf.io.gfile.listdir(temporary)) - set(markers))
    _touch(folder, markers)
    for path in set(superseded) - {os.path.join(folder, n) for n in files}:
      tf.io.gfile.remove(path)
    for name in files:
      source = os.path.join(temporary, name)
      tf.io.gfile.rename(source, os.path.join(folder, name), overwrite=True)
    for marker in markers:
      tf.io.gfile.remove(os.path.join(folder, marker))
  finally:
    _remove(temporary)
    if is_new and not tf.io.gfile.listdir(folder):
      _remove(folder)


def _touch(folder: str, names: Sequence[str]) -> None:
  for name in names:
    with tf.io.gfile.GFile(os.path.join(folder, name), 'w') as file:
      file.write('')


def _remove(folder: str) -> None:
  with contextlib.suppress(tf.errors.NotFoundError):
    tf.io.gfile.rmtree(folder)
