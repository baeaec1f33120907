"""Sample images from TFRecords, or made up."""

from typing import Any, Iterator, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf import message
from PIL import Image

from dataloader import image_reader, record_files
from utils import errors

_MAX_PIXELS = 10**8
# Images at the start of records that an export is checked on.
NUM_CHECKED = 4


def from_records(
  file_pattern: str,
  count: int,
  key: str,
  skipped: int = 0,
  num_classes: Optional[int] = None,
) -> Iterator[np.ndarray]:
  """Yields the first images of TFRecords; those that are damaged are skipped.

  Args:
    file_pattern: paths and globs, separated by commas.
    count: at most so many.
    key: where the user gave the pattern, for messages.
    skipped: images before the first one.
    num_classes: of the model, with background; None: objects may be of any.

  Yields:
    uint8 [height, width, 3], RGB.

  Raises:
    DataError: no file matches, or an object is of a class that is not there.
  """
  for number, (image, features) in enumerate(records(file_pattern, key)):
    if number >= skipped + count:
      return
    labels = features['image/object/class/label'].int64_list.value
    if num_classes and max(labels, default=0) >= num_classes:
      raise errors.DataError(
        f"{key}: '{file_pattern}' has objects of class {max(labels)}, but the "
        f'model has classes 1 to {num_classes - 1}. Give records of its own '
        'classes.'
      )
    if number >= skipped:
      yield image


def records(file_pattern: str, key: str) -> Iterator[Tuple[np.ndarray, Any]]:
  """Yields images as `from_records` does, with the features of their records.

  Raises:
    DataError: no file matches.
  """
  decoder = image_reader.Decoder(_MAX_PIXELS)
  for path in record_files.find_files(file_pattern, key):
    try:
      for record in tf.python_io.tf_record_iterator(path):
        features = tf.train.Example.FromString(record).features.feature
        encoded = b''.join(features['image/encoded'].bytes_list.value[:1])
        try:
          image = decoder.open(encoded, as_in_training=True).decode().pixels
        except errors.DataError:
          continue
        yield image, features
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
