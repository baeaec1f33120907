"""Listing of folders that flags name."""

import os
from typing import List

import tensorflow.compat.v1 as tf

from dataloader import image_reader
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


def list_pictures(folder: str, flag: str) -> List[str]:
  """Returns the sorted paths, within a folder, of the pictures below it."""
  list_folder(folder, flag)  # Tells what is wrong with it.
  return sorted(
    os.path.relpath(os.path.join(directory, name), folder)
    for directory, _, names in tf.io.gfile.walk(folder)
    for name in names
    if name.lower().endswith(image_reader.ENDINGS) and name[0] != '.'
  )
