"""What a training learns from, in the words of its plan."""

from typing import Any, NamedTuple, Optional

import numpy as np

from configs import factory
from dataloader import parser_generator, record_contents, record_files
from evaluation.dataset import anchor_fit, record_scan
from executor import run_start
from utils import files as file_lib
from utils import mode_keys

# Reading more would hold up the first step for seconds.
_MOST_RECORDS, _MOST_REMOTE_RECORDS = 5000, 100
# To count the records of a file in a bucket is to read it.
_REMOTE_FILES = 2
SHOWN_CLASSES = 20


class TrainingSet(NamedTuple):
  """Words about the records of `train.train_file_pattern`.

  Attributes:
    classes: names and numbers of objects.
    images: what there is to say beside their number; '' if nothing.
    objects: how many are learned from, left out and cut; '' if images have one
      class each.
    anchors: the share of objects that they meet; '' without anchors.
  """

  classes: str
  images: str
  objects: str
  anchors: str


def look(params: Any) -> TrainingSet:
  """Reads records, of a large set or one in a bucket a sample.

  Raises:
    DataError: there are none.
  """
  key = 'train.train_file_pattern'
  paths = record_files.find_files(params.train.train_file_pattern, key)
  read, most = paths, _MOST_RECORDS
  if any(file_lib.is_remote(path) for path in paths):
    read, most = paths[:_REMOTE_FILES], _MOST_REMOTE_RECORDS
  contents = record_scan.scan(read, most)
  is_whole = contents.is_whole and read == paths
  sample = '' if is_whole else f' in a sample of {contents.num_images}'
  parser = parser_generator.parser_generator(params, mode_keys.TRAIN)
  if parser.contents == record_contents.IMAGE_CLASS:
    return TrainingSet(_classes(params, contents.labels) + sample, '', '', '')
  settings = factory.parser_settings(params)
  is_learned = np.ones_like(contents.is_crowd)
  if settings.get('skip_crowd_during_training'):
    is_learned = ~contents.is_crowd
  counts = np.bincount(
    contents.image_indices[is_learned], minlength=contents.num_images
  )
  num_empty = np.count_nonzero(counts == 0)
  return TrainingSet(
    _classes(params, contents.classes[is_learned]) + sample,
    f'{num_empty} without objects{sample}' if num_empty else '',
    _objects(params, counts, parser.max_objects, np.sum(~is_learned)) + sample,
    _anchors(params, contents, is_learned),
  )


def _classes(params: Any, classes: np.ndarray) -> str:
  """As many as there are ids, since what is absent matters most."""
  num_classes = params.architecture.num_classes
  is_known = (classes > 0) & (classes < num_classes)
  counts = np.bincount(classes[is_known], minlength=num_classes)
  names = run_start.class_names(params)
  words = [
    f'{i} {names[i]}: {counts[i]}' if i in names else f'{i}: {counts[i]}'
    for i in range(1, num_classes)
  ]
  rest = counts[1 + SHOWN_CLASSES :]
  if rest.size:
    absent = np.count_nonzero(rest == 0)
    words[SHOWN_CLASSES:] = [
      f'{rest.size} more: {rest.sum()}'
      + (f', {absent} of them absent' if absent else '')
    ]
  return ', '.join(words)


def _objects(
  params: Any, counts: np.ndarray, most: Optional[int], num_crowds: int
) -> str:
  words = [str(counts.sum())]
  if num_crowds:
    words.append(f'{num_crowds} crowds left out')
  cut = 0 if most is None else np.maximum(counts - most, 0).sum()
  limit = f' by {params.architecture.parser}.max_num_instances: {most}'
  words.append(f'{cut} cut{limit}' if cut else 'none cut')
  return ', '.join(words)


def _anchors(
  params: Any, contents: record_scan.SetContents, is_learned: np.ndarray
) -> str:
  of_config = anchor_fit.of_config(params)
  sizes = contents.sizes[contents.image_indices]
  is_learned = is_learned & (sizes > 0).all(axis=1)
  if not of_config or not is_learned.any():
    return ''
  boxes = anchor_fit.in_model(
    contents.boxes[is_learned],
    sizes[is_learned],
    factory.parser_settings(params).output_size,
  )
  share = np.mean(anchor_fit.met(of_config[0], boxes, of_config[1]))
  return f'meet {share:.1%} of the objects (IoU {of_config[1]:g})'
