"""Copies of checkpoints in directories of their own."""

import os

import tensorflow.compat.v1 as tf

from modeling import checkpoint


def copy(prefix: str, directory: str) -> str:
  """Copies the files of a checkpoint; returns the prefix of the copy.

  It has the same name, or a longer one if the directory has that already. As
  long as the directory's state names another one, nobody takes it.
  """
  source, name = os.path.split(prefix)
  copied = os.path.join(directory, name)
  while checkpoint.exists(copied):
    copied = os.path.join(directory, 'again-' + os.path.basename(copied))
  for path in checkpoint.files_of(prefix):
    ending = path[len(os.path.join(source, name)) :]
    tf.io.gfile.copy(path, copied + ending, overwrite=True)
  return copied


def keep_only(prefix: str) -> None:
  """Makes a checkpoint that of its directory, and deletes all others there."""
  directory, kept = os.path.split(prefix)
  tf.train.update_checkpoint_state(directory, prefix, [prefix])
  for name in tf.io.gfile.listdir(directory):
    if (
      checkpoint.FILE_ENDING.search(name)
      and checkpoint.FILE_ENDING.sub('', name) != kept
    ):
      tf.gfile.Remove(os.path.join(directory, name))
