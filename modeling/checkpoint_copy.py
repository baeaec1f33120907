"""Checkpoints that no session of a training saves."""

import contextlib
import os
from typing import Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import checkpoint, checkpoint_state


def copy(prefix: str, directory: str) -> Optional[str]:
  """Copies the files of a checkpoint; returns the prefix of the copy.

  It has the same name, or a longer one if the directory has that already. As
  long as the directory's state names another one, nobody takes it. If it is not
  whole, since its training has deleted it meanwhile, there is None.
  """
  copied = free_prefix(directory, os.path.basename(prefix))
  is_whole = False
  try:
    with contextlib.suppress(tf.errors.NotFoundError):
      for path in checkpoint.files_of(prefix):
        ending = checkpoint.FILE_ENDING.search(path).group()
        tf.io.gfile.copy(path, copied + ending, overwrite=True)
    is_whole = checkpoint.damage_of(copied) is None
  finally:
    if not is_whole:  # On a full disk it would take room.
      for path in checkpoint.files_of(copied):
        tf.gfile.Remove(path)
  return copied if is_whole else None


def free_prefix(directory: str, name: str) -> str:
  """Returns the prefix of a name in a directory, longer if that is taken."""
  while checkpoint.files_of(os.path.join(directory, name)):
    name = 'again-' + name
  return os.path.join(directory, name)


def keep_only(prefix: str) -> None:
  """Makes a checkpoint that of its directory, and deletes all others there."""
  directory, kept = os.path.split(prefix)
  checkpoint_state.write(prefix)
  for name in tf.io.gfile.listdir(directory):
    if (
      checkpoint.FILE_ENDING.search(name)
      and checkpoint.FILE_ENDING.sub('', name) != kept
    ):
      tf.gfile.Remove(os.path.join(directory, name))


def save(values: Mapping[str, np.ndarray], prefix: str) -> None:
  """Writes a checkpoint of arrays, the values of variables by name."""
  # Fed, since a graph cannot hold more than 2 GB.
  with tf.Graph().as_default(), tf.Session() as session:
    fed = {tf.placeholder(v.dtype, v.shape): v for v in values.values()}
    saved = tf.raw_ops.SaveV2(
      prefix=prefix,
      tensor_names=list(values),
      shape_and_slices=[''] * len(values),
      tensors=list(fed),
    )
    session.run(saved, fed)
