"""What a config depends on of a data set."""

from typing import Dict, NamedTuple

import numpy as np

from dataloader import record_files
from evaluation.dataset import record_scan
from tools.starter import record_sets
from utils import errors, label_map


class Facts(NamedTuple):
  """A data set of N images and M objects to train on.

  Attributes:
    files: that it is in.
    num_images: of the training.
    num_evaluated: of the evaluation.
    image_sizes: int32 [N, 2], height and width in pixels.
    boxes: float32 [M, 4], `[ymin, xmin, ymax, xmax]`, shares of the sides.
    box_image_sizes: int32 [M, 2], of the image of each box.
    box_classes: int64 [M].
    most_objects: of an image of either split.
    num_classes: with the background.
    names: of the classes, by id.
  """

  files: record_sets.RecordSets
  num_images: int
  num_evaluated: int
  image_sizes: np.ndarray
  boxes: np.ndarray
  box_image_sizes: np.ndarray
  box_classes: np.ndarray
  most_objects: int
  num_classes: int
  names: Dict[int, str]


def read(files: record_sets.RecordSets) -> Facts:
  """Reads both splits and the label map.

  Raises:
    DataError: a file cannot be used, or there is no object to learn.
  """
  train, evaluated = (
    record_scan.scan(record_files.find_files(pattern, name))
    for pattern, name in zip(files, ('RECORDS', '--eval_file_pattern'))
  )
  path = files.label_map_file
  names = label_map.read_label_map(path) if path else {}
  sizes = train.sizes[train.image_indices]
  # What cannot be meant is not learned either.
  is_good = (
    ~train.is_crowd
    & np.all(np.isfinite(train.boxes), axis=1)
    & np.all(train.boxes[:, 2:] > train.boxes[:, :2], axis=1)
    & np.all(sizes > 0, axis=1)
  )
  if not is_good.any():
    raise errors.DataError(
      f"'{files.train_file_pattern}' has {train.num_images} images and no "
      'object with a box. tools/check_dataset.py says what is wrong.'
    )
  classes = {*train.classes.tolist(), *evaluated.classes.tolist()}
  wrong = sorted(c for c in classes if c < 1 or (names and c not in names))
  if wrong:
    raise errors.DataError(
      f'The records have objects of class {wrong[0]}, but classes are '
      + (f"those of '{path}'" if names else 'counted from 1')
      + '. tools/check_dataset.py names the records.'
    )
  return Facts(
    files=files,
    num_images=train.num_records,
    num_evaluated=evaluated.num_records,
    image_sizes=train.sizes[np.all(train.sizes > 0, axis=1)],
    boxes=train.boxes[is_good],
    box_image_sizes=sizes[is_good],
    box_classes=train.classes[is_good],
    most_objects=int(max(train.counts.max(), evaluated.counts.max(initial=0))),
    num_classes=max(*classes, *names, 1) + 1,
    names=names,
  )
