"""The file `checkpoint` of a directory, which names the latest one there."""

import os
from typing import List, Optional, Sequence

import tensorflow.compat.v1 as tf
from tensorflow.python.training import checkpoint_state_pb2

from utils import files

NAME = 'checkpoint'


def named(directory: str) -> Optional[str]:
  """Returns the prefix that it names; None if it is absent or damaged."""
  state = _read(directory)
  return state.model_checkpoint_path if state else None


def listed(directory: str) -> List[str]:
  """Names of those that count to `train.keep_checkpoints`, oldest first.

  Others stay, so all do if the file is absent or damaged.
  """
  state = _read(directory)
  paths = state.all_model_checkpoint_paths if state else ()
  return [os.path.basename(path) for path in paths]


def write(prefix: str, passing: Sequence[str] = ()) -> None:
  """Names a checkpoint that of its directory, wherever that is moved to.

  Args:
    prefix: of its files.
    passing: prefixes or names of those that count to `train.keep_checkpoints`,
      oldest first. If it is none of them, it stays.
  """
  directory, latest = os.path.split(prefix)
  names = [os.path.basename(path) for path in passing]
  state = checkpoint_state_pb2.CheckpointState(
    model_checkpoint_path=latest,
    all_model_checkpoint_paths=sorted(names, key=latest.__eq__),
  )
  files.write_text(os.path.join(directory, NAME), str(state))


def _read(directory: str) -> Optional[checkpoint_state_pb2.CheckpointState]:
  try:
    return tf.train.get_checkpoint_state(directory)
  except ValueError:  # Empty, or no text.
    return None
