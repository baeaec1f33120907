"""Pause of Python's garbage collection."""

import contextlib
import gc
from typing import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
  """Does not look for cycles in what many objects of a block are made of.

  Everything without a cycle is freed all the same.
  """
  was_enabled = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was_enabled:
      gc.enable()
