"""Listing of a folder that a flag names."""

from typing import List

import tensorflow.compat.v1 as tf

from utils import errors


def list_folder(folder: str, flag: str) -> List[str]:
  """Returns the sorted names in a folder; DataError if it cannot be read."""
  try:
    # Buckets mark folders.
    return sorted(name.rstrip('/') for name in tf.io.gfile.listdir(folder))
  except (tf.errors.OpError, UnicodeDecodeError) as error:
    raise errors.DataError(
      f'{flag}={folder}: the folder cannot be read: {error}'
    ) from error
