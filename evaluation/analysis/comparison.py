"""Differences of two runs on the same images."""

from typing import Dict, NamedTuple, Tuple

from evaluation.analysis import analysis, bootstrap
from utils import errors


class Difference(NamedTuple):
  """A number of two runs.

  Attributes:
    first: of the first run; -1 without samples.
    second: of the second.
    difference: second less first.
    interval: 95 % interval of the difference, by the same resamples.
  """

  first: float
  second: float
  difference: float
  interval: Tuple[float, float]


def compare(
  first: analysis.Analysis, second: analysis.Analysis
) -> Dict[str, Difference]:
  """Differences of two runs, by the names of metrics.

  Raises:
    errors.DataError: the runs are not of the same groundtruth.
  """
  _check_alike(first, second)
  return {
    name: _difference(value, second.metrics[name], replicates)
    for (name, value), replicates in zip(
      first.metrics.items(), (second.replicates - first.replicates).T
    )
  }


def compare_classes(
  first: analysis.Analysis, second: analysis.Analysis
) -> Dict[int, Difference]:
  """Differences in AP of two runs by class id; see `compare`."""
  _check_alike(first, second)
  return {
    one.id: _difference(one.AP, other.AP, replicates)
    for one, other, replicates in zip(
      first.classes,
      second.classes,
      (second.class_replicates - first.class_replicates).T,
    )
  }


def _difference(first, second, replicates) -> Difference:
  return Difference(
    float(first),
    float(second),
    float(second) - float(first),
    bootstrap.interval(replicates),
  )


def _check_alike(first: analysis.Analysis, second: analysis.Analysis) -> None:
  ids, others = (
    [*run.images.ids, *(c.id for c in run.classes), *run.objects.images]
    for run in (first, second)
  )
  if ids != others:
    raise errors.DataError(
      f'The runs, of {len(first.images.ids)} and {len(second.images.ids)} '
      'images, do not have the same groundtruth. Compare detections of the '
      'same annotations.'
    )
