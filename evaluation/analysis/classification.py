"""What a report says of classes of whole images, in numbers."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from evaluation.analysis import bootstrap


class Analysis(NamedTuple):
  """All numbers of a classifier.

  Attributes:
    metrics: top_1_accuracy and top_5_accuracy.
    intervals: 95 % interval of each, over resamples of the images.
    names: of the classes that are true, predicted or named, by id.
    confusion: int, true classes by predicted ones, in the order of `names`.
    worst: predictions that are wrong, the surest first.
  """

  metrics: Dict[str, float]
  intervals: Dict[str, Tuple[float, float]]
  names: Dict[int, str]
  confusion: np.ndarray
  worst: List[Dict[str, Any]]


def analyse(
  predictions: List[Dict[str, Any]], names: Optional[Dict[int, str]] = None
) -> Analysis:
  """Computes all numbers of a report.

  Args:
    predictions: of `ClassificationEvaluator.dump_predictions`; at least one.
    names: of classes by id.
  """
  true = [row['class_id'] for row in predictions]
  claimed = [row['predicted'][0] for row in predictions]
  # Where others have a name, a number may be one, too.
  nameless = 'id {}' if names else '{}'
  ids = sorted({*true, *claimed, *(names or {})})
  confusion = np.zeros([len(ids)] * 2, np.int64)
  np.add.at(confusion, tuple(np.searchsorted(ids, (true, claimed))), 1)
  is_right = np.array(
    [(i == row['predicted'][0], i in row['predicted'])
     for i, row in zip(true, predictions)], float)  # fmt: skip
  values = is_right.mean(axis=0).tolist()
  weights = bootstrap.draw(len(predictions))
  intervals = map(bootstrap.interval, (weights @ is_right / len(is_right)).T)
  metrics = 'top_1_accuracy', 'top_5_accuracy'
  wrong = [r for r in predictions if r['class_id'] != r['predicted'][0]]
  return Analysis(
    dict(zip(metrics, values)),
    dict(zip(metrics, intervals)),
    {i: (names or {}).get(i, nameless.format(i)) for i in ids},
    confusion,
    sorted(wrong, key=lambda row: -row['scores'][0]),
  )
