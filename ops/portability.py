"""Graphs of operations that other formats have, too."""

import contextlib
from typing import Iterator, List

_required: List[bool] = []


@contextlib.contextmanager
def required() -> Iterator[None]:
  """Within it, graphs are built without loops and sparse matrices.

  They compute the same, but slower, and take a static batch alone.
  """
  _required.append(True)
  try:
    yield
  finally:
    _required.pop()


def is_required() -> bool:
  return bool(_required)
