"""Differences of two runs on the same images."""

from typing import Any, List, NamedTuple, Tuple

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


def compare(
  first: analysis.Analysis, second: analysis.Analysis
) -> Tuple[List[Difference], List[Difference]]:
  """Returns the differences of two runs in metrics, and in AP of each class.

  Raises:
    errors.DataError: the runs are not of the same groundtruth.
  """
  keys = [
    [*run.images.ids, *(c['id'] for c in run.classes), *run.objects.images]
    for run in (first, second)
  ]
  if keys[0] != keys[1]:
    raise errors.DataError(
      f'The runs, of {len(first.images)} and {len(second.images)} images, do '
      'not have the same groundtruth. Compare detections of the same '
      'annotations.'
    )
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
