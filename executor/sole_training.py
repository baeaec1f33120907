"""One training at a time in a directory."""

import contextlib
import fcntl
import os
from typing import Iterator

from utils import errors, files


@contextlib.contextmanager
def alone_in(model_dir: str) -> Iterator[bool]:
  """Refuses a second training in a directory while this one lives.

  The lock is on the directory itself and ends with the process, however that
  ends.

  Args:
    model_dir: local directory, made if needed and removed if it stays empty,
      or bucket URL.

  Yields:
    Whether it is known that no other process trains there; not for buckets and
    file systems without locks.

  Raises:
    UserError: another one does.
  """
  if files.is_remote(model_dir):
    yield False
    return
  is_new = not os.path.isdir(model_dir)
  os.makedirs(model_dir, exist_ok=True)
  descriptor = os.open(model_dir, os.O_RDONLY)
  try:
    yield _is_locked(descriptor, model_dir)
  finally:
    os.close(descriptor)
    if is_new:
      with contextlib.suppress(OSError):
        os.rmdir(model_dir)


def _is_locked(descriptor: int, model_dir: str) -> bool:
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    raise errors.UserError(
      f"Another training runs in model_dir '{model_dir}'. Stop it, wait for "
      'its end, or give another --model_dir.'
    ) from None
  except OSError:
    return False
  return True
