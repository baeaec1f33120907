"""A checkpoint of named arrays."""

import os
from typing import Mapping

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import checkpoint_copy
from utils import errors, files

_NAME = 'model.ckpt'


def check_absent(directory: str) -> None:
  """Raises ConfigError if there is something to be replaced."""
  if tf.gfile.Exists(directory):
    raise errors.ConfigError(
      f'--output={directory} is there already. Give another directory.'
    )


def write(values: Mapping[str, np.ndarray], directory: str) -> str:
  """Writes a directory that appears once it is whole; returns the prefix.

  Args:
    values: of variables by name.
    directory: local or in a bucket; not there yet.
  """
  directory = directory.rstrip('/')
  temporary = f'{directory}.{os.getpid()}'
  tf.gfile.MakeDirs(temporary)
  try:
    checkpoint_copy.save(values, os.path.join(temporary, _NAME))
    files.write_text(
      os.path.join(temporary, 'checkpoint'),
      f'model_checkpoint_path: "{_NAME}"\n',
    )
    tf.gfile.Rename(temporary, directory)
  finally:
    if tf.gfile.Exists(temporary):
      tf.gfile.DeleteRecursively(temporary)
  return os.path.join(directory, _NAME)
