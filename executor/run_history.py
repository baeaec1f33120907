"""A line for each start and each end of a training in its directory."""

import contextlib
import datetime
import json
import os
import platform
import shlex
import socket
import subprocess
import sys
import time
from typing import Any, Iterator, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from configs import params_dict
from evaluation import report
from executor import best_checkpoint
from modeling import checkpoint
from utils import errors, files

_NAME = 'history.jsonl'
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class RunHistory:
  """Writes `model_dir/history.jsonl` for one process.

  A start has the keys `event` ('start'), `time` (UTC), `step`, `command`,
  `changes` (parameters that are not the model's defaults), `host`, `versions`
  and `revision` (of git, or null); an end `event` ('end'), `time`, `step`,
  `why` ('finished' or the error's first line) and `best` (`best.json` without
  its metrics, or null). A process that is killed leaves no end. What `add` is
  told of in between has `event`, `time`, `step` and more.

  Args:
    params: the whole config.

  Attributes:
    why: the end comes, if without an error.
  """

  def __init__(self, params: Any):
    self._params = params
    self._has_started = False
    self.why = 'finished'

  def start(self) -> None:
    """Adds the line of the start, once."""
    if self._has_started:
      return
    self._has_started = True
    params = self._params
    defaults = config_factory.config_generator(params.type).as_dict()
    self.add(
      event='start',
      command=' '.join(map(shlex.quote, sys.argv)),
      changes=params_dict.difference(params.as_dict(), defaults),
      host=socket.gethostname(),
      versions={
        'python': platform.python_version(),
        'tensorflow': tf.__version__,
        'numpy': np.__version__,
      },
      revision=_revision(),
    )

  @contextlib.contextmanager
  def ending(self) -> Iterator[None]:
    """Adds the line of the end when the block ends, if there was a start."""
    try:
      yield
    except BaseException as error:
      self.why = (str(error) or repr(error)).splitlines()[0]
      # On a disk that is full the error says so.
      with contextlib.suppress(OSError, tf.errors.OpError):
        self._end()
      raise
    self._end()

  def _end(self) -> None:
    # One that was moved away is not made anew.
    if not self._has_started or not tf.gfile.IsDirectory(
      self._params.model_dir
    ):
      return
    best = best_checkpoint.BestCheckpoint(self._params).read()
    if best:
      del best['metrics']
    self.add(event='end', why=self.why, best=best)

  def add(self, event: str, **entry: Any) -> None:
    """Adds a line with the step of the latest checkpoint."""
    model_dir = self._params.model_dir
    step = checkpoint.latest_step(model_dir)
    add_line(os.path.join(model_dir, _NAME), event=event, step=step, **entry)


def add_line(path: str, **entry: Any) -> None:
  """Adds a JSON object, with the `time`, to a file of one a line."""
  # Buckets have no files that grow.
  before = files.read_text(path) if tf.io.gfile.exists(path) else ''
  files.write_text(
    path, before + json.dumps({'time': report.now(), **entry}) + '\n'
  )


def first_start(model_dir: str) -> float:
  """When the first training in a directory began: seconds since the epoch."""
  path = os.path.join(model_dir, _NAME)
  with contextlib.suppress(errors.ConfigError, ValueError, KeyError):
    first = json.loads(files.read_text(path).partition('\n')[0])
    begun = datetime.datetime.strptime(first['time'], report.TIME_FORMAT)
    return begun.replace(tzinfo=datetime.timezone.utc).timestamp()
  return time.time()


def _revision() -> Optional[str]:
  """Commit of this code, None outside of a clone."""
  command = ['git', '-C', _ROOT, 'rev-parse', 'HEAD']
  with contextlib.suppress(OSError, subprocess.SubprocessError):
    return subprocess.check_output(
      command, timeout=10, stderr=subprocess.DEVNULL, universal_newlines=True
    ).strip()
  return None
