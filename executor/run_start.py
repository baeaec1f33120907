"""Facts about a training before its first step."""

from typing import Any, Dict, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from dataloader import record_files, record_index
from utils import files as file_lib
from utils import label_map


class Start(NamedTuple):
  """The start of a training.

  Attributes:
    num_files: TFRecord files of train.train_file_pattern.
    num_images: their records; None where counting means reading a bucket.
    step: of the checkpoint that it goes on from, else 0.
  """

  num_files: int
  num_images: Optional[int]
  step: int

  def num_epochs(self, params: Any) -> Optional[float]:
    """How often each image is seen in all; None if that is not known."""
    if self.num_images is None:
      return None
    settings = params.train
    return settings.total_steps * settings.train_batch_size / self.num_images


def find(params: Any, step: int) -> Start:
  """Looks at the records of `train.train_file_pattern`; `step` as in `Start`.

  Raises:
    DataError: there are none, or one is cut off.
  """
  paths = record_files.find_files(
    params.train.train_file_pattern, 'train.train_file_pattern'
  )
  num_images = None
  if not any(file_lib.is_remote(path) for path in paths):
    num_images = sum(record_index.count_records(paths))
  return Start(len(paths), num_images, step)


def class_names(params: Any) -> Dict[int, str]:
  """Names by class id, empty without a label map.

  Raises:
    DataError: the label map cannot be read.
  """
  path = params.eval.label_map_file
  # A run that only trains does without.
  if not path or not tf.io.gfile.exists(path):
    return {}
  return label_map.read_label_map(path)
