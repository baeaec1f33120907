"""COCO's metrics of resampled images (Efron, 1979)."""

from typing import Any, NamedTuple, Tuple

import numpy as np

from evaluation.analysis import matching

_RECALLS = np.linspace(0, 1, 101)
_EPSILON = np.spacing(1)
# Fewer for more images, so that it takes no longer.
_LEAST_REPLICATES, _MOST_REPLICATES = 200, 1000
_RESAMPLED_IMAGES = 1000000
# Detections times replicates at a time.
_BLOCK = 2**25


class Replicates(NamedTuple):
  """Metrics of R resamples; NaN where there is no sample.

  Attributes:
    metrics: float [R, 12], in the order of `coco_metrics.coco_metrics`.
    class_ap: float [R, classes].
  """

  metrics: np.ndarray
  class_ap: np.ndarray


def draw(num_images: int, seed: int) -> np.ndarray:
  """Returns uint8 [N, R]: how often each image is in each resample."""
  count = _RESAMPLED_IMAGES // max(num_images, 1)
  count = min(max(count, _LEAST_REPLICATES), _MOST_REPLICATES)
  random = np.random.RandomState(seed)
  drawn = [
    np.bincount(
      random.randint(num_images, size=num_images), minlength=num_images
    )
    for _ in range(count)
  ]
  return np.array(drawn, np.uint8).T


def replicates(matches: matching.Matches, weights: np.ndarray) -> Replicates:
  """Computes the metrics of resamples.

  They are what `coco_metrics` gives for a set that holds each image as often
  as drawn; of equal scores, copies of a detection follow one another.

  Args:
    matches: of all images.
    weights: int [N, R], how often each image counts.
  """
  size = max(_BLOCK // max(len(matches.detections.rows), 1), 1)
  blocks = [
    _block(matches, weights[:, start : start + size])
    for start in range(0, weights.shape[1], size)
  ]
  return Replicates(*(np.concatenate(parts) for parts in zip(*blocks)))


def _block(matches, weights) -> Replicates:
  is_true = matches.true_positives()
  counts = is_true | ((matches.found < 0) & matches.inside[:, np.newaxis])
  order = np.argsort(-matches.detections.scores, kind='stable')
  numbers = []
  for class_index in range(matches.num_classes):
    of_class = order[matches.detections.classes[order] == class_index]
    numbers.append(
      _of_class(
        weights[matches.detections.images[of_class]],
        is_true[:, :, of_class],
        counts[:, :, of_class],
        matches.inside[:, of_class],
        matches.detections.ranks[of_class],
        _objects(matches, class_index, weights),
      )
    )
  ap, recall, recall_of_few = (np.array(part) for part in zip(*numbers))
  columns = [
    ap[:, 0],
    ap[:, 0, :1],
    ap[:, 0, 5:6],
    *np.moveaxis(ap[:, 1:], 1, 0),
    *np.moveaxis(recall_of_few, 1, 0),
    *np.moveaxis(recall, 1, 0),
  ]
  metrics = [_mean(column, (0, 1)) for column in columns]
  return Replicates(np.stack(metrics, axis=1), _mean(ap[:, 0], 1).T)


def _mean(values, axis) -> np.ndarray:
  """Mean of what is not NaN; NaN if all is."""
  is_sample = ~np.isnan(values)
  with np.errstate(invalid='ignore'):
    return np.where(is_sample, values, 0).sum(axis) / is_sample.sum(axis)


def _objects(matches, class_index, weights) -> np.ndarray:
  """Number of objects that count, int [4, R]."""
  of_class = np.flatnonzero(matches.objects.classes == class_index)
  counts = ~matches.ignored[:, of_class]
  return counts.astype(int) @ weights[matches.objects.images[of_class]]


def _of_class(
  weights, is_true, counts, inside, ranks, num_objects
) -> Tuple[Any, ...]:
  """The numbers of a class.

  Args:
    weights: int [n, R], of its detections by falling score.
    is_true: bool [4 area ranges, 10 thresholds, n].
    counts: likewise, those that are true or false, not ignored.
    inside: bool [4, n], which is the same for nearly all.
    ranks: int [n], within their images.
    num_objects: int [4, R].

  Returns:
    Average precision and recall, float [4, 10, R], and recall of the best 1 and
    10 detections of an image, float [2, 10, R]; NaN without objects.
  """
  ap = np.zeros(is_true.shape[:2] + num_objects.shape[1:])
  recall, few = np.zeros_like(ap), np.zeros_like(ap[:2])
  for area, threshold in np.ndindex(*ap.shape[:2]):
    if threshold == 0:
      shared = np.flatnonzero(inside[area])
      before = _sums(weights[shared])
    at = np.flatnonzero(is_true[area, threshold])
    found = _sums(weights[at])[1:]
    total = before[np.searchsorted(shared, at, 'right')]
    change = counts[area, threshold].astype(np.int8) - inside[area]
    changed = np.flatnonzero(change)
    if changed.size:
      changes = _sums(weights[changed] * change[changed, np.newaxis])
      total += changes[np.searchsorted(changed, at, 'right')]
    with np.errstate(invalid='ignore'):
      if at.size:
        ap[area, threshold] = _average(found, total, num_objects[area])
        recall[area, threshold] = found[-1]
      if area == 0:
        for row, most in enumerate((1, 10)):
          best = weights[at[ranks[at] < most]]
          few[row, threshold] = best.sum(0, dtype=np.int32)
  with np.errstate(invalid='ignore'):
    recall /= num_objects[:, np.newaxis]
    few /= num_objects[0]
  ap[np.isnan(recall)] = np.nan
  return ap, recall, few


def _sums(weights) -> np.ndarray:
  """Sums of the first 0, 1, ... rows, int32."""
  sums = np.zeros([len(weights) + 1, weights.shape[1]], np.int32)
  np.cumsum(weights, axis=0, dtype=np.int32, out=sums[1:])
  return sums


def _average(found, total, num_objects) -> np.ndarray:
  """Average precision, float [R].

  It is highest at a true positive, so that others need not be looked at.

  Args:
    found: int [n, R], true positives up to each of them.
    total: int [n, R], detections up to each of them.
    num_objects: int [R].
  """
  precision = found / (total + _EPSILON)
  np.maximum.accumulate(precision[::-1], axis=0, out=precision[::-1])
  reached = np.searchsorted(_RECALLS, found / num_objects, 'right')
  share = np.diff(reached, axis=0, prepend=0)
  return (precision * share).sum(axis=0) / len(_RECALLS)
