"""Images to try a model with: from TFRecords, or made up."""

import itertools
from typing import Iterator

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf import message

from dataloader import image_reader, record_files
from utils import errors

_MAX_PIXELS = 10**8


def from_records(
  file_pattern: str, count: int, key: str
) -> Iterator[np.ndarray]:
  """Yields the first images of TFRecords; those that are damaged are skipped.

  Args:
    file_pattern: paths and globs, separated by commas.
    count: at most so many.
    key: where the user gave the pattern, for messages.

  Yields:
    uint8 [height, width, 3], RGB.

  Raises:
    DataError: no file matches.
  """
  files = record_files.find_files(file_pattern, key)
  yield from itertools.islice(_readable(files), count)


def _readable(files) -> Iterator[np.ndarray]:
  decoder = image_reader.Decoder(_MAX_PIXELS)
  for path in files:
    try:
      for record in tf.python_io.tf_record_iterator(path):
        features = tf.train.Example.FromString(record).features.feature
        encoded = b''.join(features['image/encoded'].bytes_list.value[:1])
        try:
          yield decoder.open(encoded, as_in_training=True).decode().pixels
        except errors.DataError:
          continue
    except (tf.errors.OpError, message.DecodeError):
      continue


def made_up(count: int, height: int, width: int) -> Iterator[np.ndarray]:
  """Yields images of smooth colours with bright and dark rectangles on them.

  Args:
    count: how many; always the same ones.
    height: pixels.
    width: pixels.
  """
  draw = np.random.RandomState(0)
  rows = np.linspace(0, 1, height)[:, np.newaxis, np.newaxis]
  columns = np.linspace(0, 1, width)[np.newaxis, :, np.newaxis]
  for _ in range(count):
    corners = draw.uniform(40, 215, [4, 3])
    image = (
      corners[0] * rows * columns
      + corners[1] * rows * (1 - columns)
      + corners[2] * (1 - rows) * columns
      + corners[3] * (1 - rows) * (1 - columns)
    )
    for _ in range(6):
      y, x = draw.randint(0, height), draw.randint(0, width)
      h, w = draw.randint(height // 8, height // 2 + 1, 2)
      image[y : y + h, x : x + w] = draw.uniform(0, 255, 3)
    yield image.astype(np.uint8)
