"""Images with more objects than labels have room for."""

import collections
from typing import Any, Iterator, List

from configs import factory
from dataloader import parser_generator, record_check, record_contents
from evaluation import coco_json
from utils import mode_keys

# Reading a large set would take longer than the warning is worth.
_MOST_RECORDS = 500


def find_excess(params: Any, is_training: bool) -> Iterator[str]:
  """Yields a warning if some images have too many objects.

  All images of an annotation file are counted, otherwise the first records.

  Args:
    params: the whole config.
    is_training: whether it is of the training data, or of the evaluation's.

  Raises:
    DataError: the annotation file cannot be read, or a record not be used.
  """
  mode = mode_keys.TRAIN if is_training else mode_keys.PREDICT_WITH_GT
  limit = parser_generator.parser_generator(params, mode).max_objects
  if limit is None:
    return
  settings = params.eval
  if is_training:
    key, pattern = 'train.train_file_pattern', params.train.train_file_pattern
  else:
    key, pattern = 'eval.eval_file_pattern', settings.eval_file_pattern
  if not is_training and settings.use_json_file and settings.val_json_file:
    key = 'eval.val_json_file'
    counts = _of_annotations(settings.val_json_file)
  else:
    skips_crowd = (
      is_training and factory.parser_settings(params).skip_crowd_during_training
    )
    counts = _of_records(pattern, params, key, skips_crowd)
  excess = [count for count in counts if count > limit]
  if excess:
    yield (
      '{}: {} of the {}{} images have more objects than {}.max_num_instances: '
      '{}, and labels lack the rest of them. {} would hold all.'.format(
        key,
        len(excess),
        'first ' if len(counts) == _MOST_RECORDS else '',
        len(counts),
        params.architecture.parser,
        limit,
        max(excess),
      )
    )


def _of_annotations(path: str) -> List[int]:
  content = coco_json.read(path)
  counts = collections.Counter(a.image_id for a in content.annotations)
  return [counts[image.id] for image in content.images]


def _of_records(
  pattern: str, params: Any, key: str, skips_crowd: bool
) -> List[int]:
  counts = []
  record_check.check_first(
    pattern,
    params,
    key,
    _MOST_RECORDS,
    lambda feature: counts.append(_count(feature, skips_crowd)),
  )
  return counts


def _count(feature: Any, skips_crowd: bool) -> int:
  count = len(feature[record_contents.OBJECTS.label].int64_list.value)
  crowds = feature['image/object/is_crowd'].int64_list.value
  return count - sum(crowds) if skips_crowd else count
