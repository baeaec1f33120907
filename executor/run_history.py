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
from typing import Any, Callable, Iterator, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from configs import params_dict
from evaluation import report
from executor import best_checkpoint
from utils import files

_NAME = 'history.jsonl'
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@contextlib.contextmanager
def recorded(params: Any, step: Callable[[], int]) -> Iterator[None]:
  """Adds a line to `model_dir/history.jsonl` now, and one at the end.

  The first has the keys `event` ('start'), `time` (UTC), `step`, `command`,
  `changes` (parameters that are not the model's defaults), `host`, `versions`
  and `revision` (of git, or null); the other `event` ('end'), `time`, `step`,
  `why` ('finished' or the error's first line) and `best` (`best.json`, or
  null). A process that is killed leaves no end.

  Args:
    params: the whole config.
    step: of the latest checkpoint, when it is called.
  """
  defaults = config_factory.config_generator(params.type).as_dict()
  _add(
    params.model_dir,
    event='start',
    step=step(),
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
  why = 'finished'
  try:
    yield
  except BaseException as error:
    why = (str(error) or repr(error)).splitlines()[0]
    raise
  finally:
    best = best_checkpoint.BestCheckpoint(params).read()
    if best:
      del best['metrics']
    _add(params.model_dir, event='end', step=step(), why=why, best=best)


def _add(model_dir: str, **entry: Any) -> None:
  now = datetime.datetime.utcnow().strftime(report.TIME_FORMAT)
  entry = {'event': entry.pop('event'), 'time': now, **entry}
  path = os.path.join(model_dir, _NAME)
  # Buckets have no files that grow.
  before = files.read_text(path) if tf.io.gfile.exists(path) else ''
  files.write_text(path, before + json.dumps(entry) + '\n')


def _revision() -> Optional[str]:
  """Commit of this code, None outside of a clone."""
  with contextlib.suppress(OSError, subprocess.SubprocessError):
    return subprocess.run(
      ['git', 'rev-parse', 'HEAD'],
      cwd=_ROOT,
      check=True,
      timeout=10,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      universal_newlines=True,
    ).stdout.strip()
  return None
