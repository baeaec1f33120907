"""Files of a folder that appear together, at the end, or not at all."""

import contextlib
import os
from typing import Any, Dict, List, Sequence

import tensorflow.compat.v1 as tf

from dataloader import record_files


class UnfinishedSet:
  """What a conversion writes, under hidden names until all of it is whole.

  Used as a context manager: at the end of the block the files get their names,
  and nothing stays behind if the block fails. What a run left that was killed
  is removed at the start. As long as files are getting their names, a marker
  beside them keeps readers away (see `record_files`).

  Args:
    folder: local or remote; has to exist.
    names: of the splits.
  """

  def __init__(self, folder: str, names: Sequence[str]):
    self._folder = folder
    self._stem = names[0]
    self._prefixes = [os.path.join(folder, name) for name in names]
    self._leftovers = [os.path.join(folder, f'.{name}~*.tmp') for name in names]
    self._paths: Dict[str, str] = {}
    self._superseded: List[str] = []

  def add(self, name: str) -> str:
    """Returns where to write what will be a file `name` of the folder."""
    path = os.path.join(self._folder, f'.{self._stem}~{name}.{os.getpid()}.tmp')
    self._paths[path] = os.path.join(self._folder, name)
    return path

  def rename(self, temporary: str, name: str) -> str:
    """Gives a file that was added another final name; returns its path."""
    self._paths[temporary] = os.path.join(self._folder, name)
    return self._paths[temporary]

  def supersede(self, paths: Sequence[str]) -> None:
    """Lets earlier files go once the new ones get their names."""
    self._superseded.extend(paths)

  def write(self, name: str, text: str) -> None:
    """Adds a text file."""
    with tf.io.gfile.GFile(self.add(name), 'w') as file:
      file.write(text)

  def __enter__(self) -> 'UnfinishedSet':
    for pattern in self._leftovers:
      for path in tf.io.gfile.glob(pattern):
        tf.io.gfile.remove(path)
    return self

  def __exit__(self, error_type: Any, error: Any, traceback: Any) -> None:
    try:
      if error_type is None:
        self._finish()
    finally:
      for path in self._paths:
        with contextlib.suppress(tf.errors.NotFoundError):
          tf.io.gfile.remove(path)

  def _finish(self) -> None:
    markers = [record_files.unfinished_marker(path) for path in self._prefixes]
    for marker in markers:
      with tf.io.gfile.GFile(marker, 'w') as file:
        file.write('')
    for path in set(self._superseded) - set(self._paths.values()):
      tf.io.gfile.remove(path)
    for temporary in list(self._paths):
      path = self._paths.pop(temporary)
      tf.io.gfile.rename(temporary, path, overwrite=True)
    for marker in markers:
      tf.io.gfile.remove(marker)
