"""Differences of two runs on the same images."""

from typing import Any, Dict, List, NamedTuple, Tuple

from evaluation.analysis import analysis, bootstrap
from utils import errors


class Difference(NamedTuple):
  """A number of two runs.

  Attributes:
    name: of a metric, or a class.
    first: of the first run; -1 without samples.
    second: of the second.
    difference: second less first.
    interval: 95 % interval of the difference, by the same resamples.
  """

  name: str
  first: float
  second: float
  difference: float
  interval: Tuple[float, float]


def check_same(first: Dict[str, Any], second: Dict[str, Any]) -> None:
  """Checks that groundtruth in COCO's format is of the same objects.

  Raises:
    errors.DataError: it is not.
  """
  keys = [
    [
      sorted(entry['id'] for entry in of['images']),
      sorted(entry['id'] for entry in of['categories']),
      sorted((e['image_id'], e['category_id']) for e in of['annotations']),
    ]
    for of in (first, second)
  ]
  if keys[0] != keys[1]:
    raise errors.DataError(
      f'The runs, of {len(keys[0][0])} and {len(keys[1][0])} images, do not '
      'have the same groundtruth. Compare detections of the same annotations.'
    )


def compare(
  first: analysis.Analysis, second: analysis.Analysis
) -> Tuple[List[Difference], List[Difference]]:
  """Returns the differences of two runs in metrics, and in AP of each class.

  They are of the same groundtruth, as `check_same` sees it.
  """
  of_metrics, of_classes = (
    (second.replicates[i] - first.replicates[i]).T for i in (0, 1)
  )
  names = [c['name'] for c in first.classes]
  values = [[c['AP'] for c in run.classes] for run in (first, second)]
  return (
    _differences(
      first.metrics, first.metrics.values(), second.metrics.values(), of_metrics
    ),
    _differences(names, *values, of_classes),
  )


def _differences(*columns: Any) -> List[Difference]:
  return [
    Difference(name, one, other, other - one, bootstrap.interval(replicates))
    for name, one, other, replicates in zip(*columns)
  ]
