"""Sample images from TFRecords, or made up."""

import itertools
from typing import Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf import message
from PIL import Image

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


def _readable(files: Sequence[str]) -> Iterator[np.ndarray]:
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
  """Yields mosaics of large tiles in smooth colours, always the same ones.

  Args:
    count: how many.
    height: pixels.
    width: pixels.
  """
  draw = np.random.RandomState(0)
  for _ in range(count):
    tiles, shades = (
      Image.fromarray(draw.randint(0, 256, [*size, 3]).astype(np.uint8))
      for size in ((5, 7), (2, 2))
    )
    tiles = tiles.resize((width, height), Image.NEAREST)
    shades = shades.resize((width, height), Image.BILINEAR)
    yield np.asarray(Image.blend(tiles, shades, 0.5))
