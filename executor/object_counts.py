"""Images with more objects than labels have room for."""

from typing import Any, Iterator, List

from configs import factory
from dataloader import parser_generator, record_check, record_contents
from evaluation import evaluator_registry
from utils import mode_keys

# Reading more would take longer than the warning is worth.
_MOST_RECORDS = 10000


def find_excess(params: Any, is_training: bool) -> Iterator[str]:
  """Yields a warning if labels lack some objects of images.

  Where the model's labels are bounded, the records are read and checked in any
  case; an evaluation may have its groundtruth from elsewhere, and all of it.

  Args:
    params: the whole config.
    is_training: whether it is of the training data, or of the evaluation's.

  Raises:
    DataError: a record cannot be used.
  """
  mode = mode_keys.TRAIN if is_training else mode_keys.PREDICT_WITH_GT
  limit = parser_generator.parser_generator(params, mode).max_objects
  if limit is None:
    return
  if is_training:
    key, pattern = 'train.train_file_pattern', params.train.train_file_pattern
  else:
    key, pattern = 'eval.eval_file_pattern', params.eval.eval_file_pattern
  skips_crowd = (
    is_training and factory.parser_settings(params).skip_crowd_during_training
  )
  counts: List[int] = []
  is_whole = record_check.check_labels(
    pattern,
    params,
    key,
    _MOST_RECORDS,
    lambda feature: counts.append(_count(feature, skips_crowd)),
  )
  if not is_training:
    evaluator = evaluator_registry.EVALUATORS.get(params.eval.type)
    if not evaluator.streams_groundtruth(params):
      return
  excess = [count for count in counts if count > limit]
  if excess:
    yield (
      '{}: more objects than {}.max_num_instances: {} are in {} of {} {} '
      'images, and labels lack the rest of them. {} would hold {}.'.format(
        key,
        params.architecture.parser,
        limit,
        len(excess),
        'the' if is_whole else 'a sample of',
        len(counts),
        max(excess),
        'all' if is_whole else 'all of the sample',
      )
    )


def _count(feature: Any, skips_crowd: bool) -> int:
  count = len(feature[record_contents.OBJECTS.label].int64_list.value)
  crowds = feature['image/object/is_crowd'].int64_list.value
  return count - sum(crowds) if skips_crowd else count
