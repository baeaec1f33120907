"""One training at a time in a directory."""

import contextlib
import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from typing import Any, Dict, Iterator, List, Optional

import tensorflow.compat.v1 as tf

from evaluation import report
from utils import errors, files

_log = logging.getLogger(__name__)

_NAME = 'training.lock'
_BEAT_INTERVAL = 20.0  # seconds
# So long without a beat, and the process is gone.
_PATIENCE = 90.0
_POLL = 1.0
_Holder = Dict[str, Any]
# Host names and process ids repeat themselves, in containers above all.
_RUN = uuid.uuid4().hex


@contextlib.contextmanager
def alone_in(model_dir: str) -> Iterator[None]:
  """Refuses a second training in a directory while this one lives.

  `training.lock` there says who trains: `host`, `pid`, `since` (UTC), `run`,
  which no other process has, `place`, the kernel and the namespace in which
  `pid` means something, and `beat`, a number that grows as long as the process
  lives. Nobody compares clocks: who finds the lock of another machine watches
  whether it still beats. A local directory is locked besides, by the kernel,
  until the process ends.

  Args:
    model_dir: local directory, made if needed and removed if it stays empty,
      or bucket URL.

  Raises:
    UserError: another one does.
  """
  is_new = not tf.gfile.IsDirectory(model_dir)
  tf.gfile.MakeDirs(model_dir)
  path = os.path.join(model_dir, _NAME)
  try:
    with _kernel_lock(model_dir) as is_locked:
      _check_free(model_dir, is_locked)
      with _beating(path):
        yield
  finally:
    if is_new:  # A bucket has no directories.
      with contextlib.suppress(OSError):
        os.rmdir(model_dir)


class Listener(tf.train.CheckpointSaverListener):
  """Ends a training, rather than save, whose lock another one has taken over.

  It was not running for so long that it seemed gone.

  Args:
    model_dir: in which it is supposed to be alone.
  """

  def __init__(self, model_dir: str):
    self._model_dir = model_dir

  def before_save(self, session, global_step_value):
    del session, global_step_value
    holder = _read(os.path.join(self._model_dir, _NAME))
    if holder and not _is_me(holder):
      raise errors.UserError(
        f"Another training took over model_dir '{self._model_dir}' while this "
        f'one was suspended: {_shown(holder)}. This one ends without saving.'
      )


@contextlib.contextmanager
def _kernel_lock(model_dir: str) -> Iterator[bool]:
  """Yields whether the kernel knows of no other process; not for buckets."""
  if files.is_remote(model_dir):
    yield False
    return
  descriptor = os.open(model_dir, os.O_RDONLY)
  try:
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise _taken(model_dir) from None
    except OSError:  # A file system without locks.
      yield False
    else:
      yield True
  finally:
    os.close(descriptor)


def _check_free(model_dir: str, is_locked: bool) -> None:
  """Returns when nobody holds the lock, or who did is gone."""
  path = os.path.join(model_dir, _NAME)
  holder = _read(path)
  if holder is None:
    return
  place = _place()
  # Of other containers of this kernel only it knows, and of local files.
  if not (
    (is_locked and holder['place'][0] == place[0])
    or (holder['place'] == place and not _is_alive(holder['pid']))
  ):
    _log.info(
      "model_dir '%s' is locked by %s; waiting %d s for a sign of life.",
      *(model_dir, _shown(holder), _PATIENCE),
    )
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
      time.sleep(_POLL)
      now = _read(path)
      if now is None:
        return
      if now != holder:
        raise _taken(model_dir)
  _log.warning(
    "The lock of model_dir '%s' is stale, and taken over: %s is gone.",
    *(model_dir, _shown(holder)),
  )


@contextlib.contextmanager
def _beating(path: str) -> Iterator[None]:
  """Holds the lock, which is removed at the end."""
  me = _me()
  ended = threading.Event()

  def beat():
    number = 0
    while not ended.wait(_BEAT_INTERVAL):
      number += 1
      # On a full disk it ends with what has to be saved.
      with contextlib.suppress(OSError, tf.errors.OpError):
        # Not where the directory was moved away, or another one took over.
        if _is_me(_read(path)):
          files.write_json(path, {**me, 'beat': number})

  files.write_json(path, {**me, 'beat': 0})
  thread = threading.Thread(target=beat, daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
    thread.join()
    if _is_me(_read(path)):
      tf.gfile.Remove(path)


def _read(path: str) -> Optional[_Holder]:
  """What a lock says; None if it is absent or no lock."""
  try:
    holder = json.loads(files.read_text(path))
    return {key: holder[key] for key in (*_me(), 'beat')}
  except (errors.ConfigError, ValueError, TypeError, KeyError):
    return None


def _place() -> List[str]:
  with contextlib.suppress(OSError):
    with open('/proc/sys/kernel/random/boot_id') as source:
      return [source.read().strip(), os.readlink('/proc/self/ns/pid')]
  return [socket.gethostname(), '']  # This is no Linux.


def _me() -> _Holder:
  """What the lock of this process says, but for its beat."""
  return {
    'host': socket.gethostname(),
    'pid': os.getpid(),
    'since': report.now(),
    'run': _RUN,
    'place': _place(),
  }


def _is_me(holder: Optional[_Holder]) -> bool:
  return holder is not None and holder['run'] == _RUN


def _is_alive(pid: int) -> bool:
  """Whether another process of this namespace has a number."""
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except OSError:  # Of another user.
    return True
  # A container that was started anew counts from 1 again.
  return pid != os.getpid()


def _shown(holder: _Holder) -> str:
  return 'process {pid} on {host}, since {since}'.format(**holder)


def _taken(model_dir: str) -> errors.UserError:
  holder = _read(os.path.join(model_dir, _NAME))
  who = f' ({_shown(holder)})' if holder else ''
  return errors.UserError(
    f"Another training runs in model_dir '{model_dir}'{who}. Stop it, wait for "
    'its end, or give another --model_dir.'
  )
