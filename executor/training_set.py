"""What a training learns from, in the words of its plan."""

from typing import Any, Dict

import numpy as np

from dataloader import record_files
from evaluation.dataset import (
  anchor_fit,
  check_list,
  data_check,
  object_checks,
)
from evaluation.dataset.record_scan import NO_CLASS
from utils import files as file_lib

# Reading more would hold up the first step for seconds.
_MOST_RECORDS, _MOST_REMOTE_RECORDS = 5000, 100
SHOWN_CLASSES = 20


def look(params: Any) -> Dict[str, str]:
  """Reads records, of a large set or one in a bucket a sample.

  Returns:
    'classes': names and numbers of objects; 'images': what there is to say
    beside their number; 'objects': how many are learned from, left out and cut;
    'anchors': the share of objects that they meet, and the class that is far
    below it. Only what there is.

  Raises:
    DataError: there are none.
  """
  key = check_list.KEYS[check_list.TRAINING]
  paths = record_files.find_files(params.train.train_file_pattern, key)
  is_remote = any(map(file_lib.is_remote, paths))
  most = _MOST_REMOTE_RECORDS if is_remote else _MOST_RECORDS
  (part,) = data_check.load(params, (check_list.TRAINING,), most).parts
  contents = part.contents
  count = contents.num_images
  if not (part.data.learns_objects or np.any(contents.labels != NO_CLASS)):
    return {}  # Label maps: reading them all would hold up the first step.
  sample = '' if contents.is_whole else f' in a sample of {count}'
  words = {'classes': _classes(part) + sample}
  if not part.data.learns_objects:
    return words
  num_empty = np.count_nonzero(part.counts == 0)
  if num_empty:
    words['images'] = f'{num_empty} without objects{sample}'
  words['objects'] = _objects(part) + sample
  found = object_checks.met(part)
  if found and len(found[0]):
    rows, _, is_met, threshold = found
    worst = anchor_fit.worst_class(is_met, contents.classes[rows])
    but = f', but {worst[1]:.0%} of {part.data.name(worst[0])}' if worst else ''
    words['anchors'] = (
      f'meet {is_met.mean():.1%} of the objects{but} (IoU {threshold:g})'
    )
  return words


def _classes(part: check_list.Part) -> str:
  """As many as there are ids, since what is absent matters most."""
  num_classes = part.data.params.architecture.num_classes
  classes = part.classes
  if part.data.learns_objects:
    classes = classes[part.is_learned]
  is_known = (classes >= part.data.first_class) & (classes < num_classes)
  counts = np.bincount(classes[is_known], minlength=num_classes)
  names = part.data.names
  # A classifier may do with 0, which most leave to the background.
  first = 0 if counts[0] else 1
  words = [
    f'{i} {names[i]}: {counts[i]}' if i in names else f'{i}: {counts[i]}'
    for i in range(first, num_classes)
  ]
  rest = counts[first + SHOWN_CLASSES :]
  if rest.size:
    absent = np.count_nonzero(rest == 0)
    words[SHOWN_CLASSES:] = [
      f'{rest.size} more: {rest.sum()}'
      + (f', {absent} of them absent' if absent else '')
    ]
  return ', '.join(words)


def _objects(part: check_list.Part) -> str:
  words = [str(part.counts.sum())]
  num_crowds = np.count_nonzero(~part.is_learned)
  if num_crowds:
    words.append(f'{num_crowds} crowds left out')
  limit = object_checks.max_objects(part)
  cut = 0 if limit is None else np.maximum(part.counts - limit, 0).sum()
  parser = part.data.params.architecture.parser
  by = f' by {parser}.max_num_instances: {limit}'
  words.append(f'{cut} cut{by}' if cut else 'none cut')
  return ', '.join(words)
