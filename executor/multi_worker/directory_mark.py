"""A file by which workers know that they share a directory."""

import contextlib
import os
import time
import uuid
from typing import Iterator, Optional

import tensorflow.compat.v1 as tf

from utils import files

_NAME = '.workers'
# A network file system shows a new file a little later.
_PATIENCE = 5.0
_POLL = 0.5


@contextlib.contextmanager
def left_in(directory: str) -> Iterator[str]:
  """The chief's part: a new mark is there inside, and yielded."""
  path = os.path.join(directory, _NAME)
  mark = uuid.uuid4().hex
  files.write_text(path, mark)
  try:
    yield mark
  finally:
    tf.gfile.Remove(path)


def find(directory: str) -> Optional[str]:
  """A worker's part, after the chief's: returns the mark that it sees."""
  path = os.path.join(directory, _NAME)
  end = time.monotonic() + _PATIENCE
  while not tf.gfile.Exists(path):
    if time.monotonic() > end:
      return None
    time.sleep(_POLL)
  return files.read_text(path)
