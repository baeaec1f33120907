"""COCO's metrics of resampled images (Efron, 1979)."""

from typing import Any, Tuple

import numpy as np

from evaluation.analysis import average_precision, matching

# Fewer for more images, so that it takes no longer.
_LEAST_REPLICATES, _MOST_REPLICATES = 200, 1000
_RESAMPLED_IMAGES = 2000000
# Detections times replicates at a time.
_BLOCK = 2**25


def draw(num_images: int) -> np.ndarray:
  """Returns uint8 [R, N]: how often each image is in each of R resamples.

  They are the same each time.
  """
  count = _RESAMPLED_IMAGES // max(num_images, 1)
  count = min(max(count, _LEAST_REPLICATES), _MOST_REPLICATES)
  random = np.random.RandomState(0)
  drawn = [
    np.bincount(
      random.randint(num_images, size=num_images), minlength=num_images
    )
    for _ in range(count)
  ]
  return np.array(drawn, np.uint8)


def replicates(
  matches: matching.Matches, weights: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
  """Computes the metrics of resamples.

  They are what `coco_metrics` gives for a set that holds each image as often
  as drawn; of equal scores, copies of a detection follow one another.

  Args:
    matches: of all images.
    weights: int [R, N], how often each image counts.

  Returns:
    Metrics, float [R, 12], in the order of `coco_metrics.coco_metrics`, and AP
    of classes, float [R, classes]; NaN where there is no sample.
  """
  order = np.lexsort((-matches.detections.scores, matches.detections.classes))
  detections = matches.detections[order]
  limits = np.searchsorted(detections.classes, range(matches.num_classes + 1))
  is_true = matches.true_positives()[:, :, order]
  is_free = matches.found[:, :, order] < 0
  inside = matches.inside[:, order]
  num_blocks = len(weights) * max(np.diff(limits)) // _BLOCK + 1
  numbers = []
  for class_index, (first, last) in enumerate(zip(limits, limits[1:])):
    at = slice(first, last)
    is_object = matches.objects.classes == class_index
    counted = ~matches.ignored[:, is_object]
    blocks = [
      _of_class(
        block[:, detections.images[at]],
        is_true[..., at],
        is_true[..., at] | (is_free[..., at] & inside[:, np.newaxis, at]),
        inside[:, at],
        detections.ranks[at],
        counted @ block[:, matches.objects.images[is_object]].T.astype(int),
      )
      for block in np.array_split(weights, num_blocks)
    ]
    numbers.append([np.concatenate(parts, -1) for parts in zip(*blocks)])
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
  return np.stack(metrics, axis=1), _mean(ap[:, 0], 1).T


def interval(values: np.ndarray) -> Tuple[float, float]:
  """Returns the limits of the middle 95 % of R values; -1 if all are NaN."""
  values = values[~np.isnan(values)]
  if not values.size:
    return -1.0, -1.0
  low, high = np.percentile(values, [2.5, 97.5])
  return float(low), float(high)


def _mean(values, axis) -> np.ndarray:
  """Mean of what is not NaN; NaN if all is."""
  is_sample = ~np.isnan(values)
  with np.errstate(invalid='ignore'):
    return np.where(is_sample, values, 0).sum(axis) / is_sample.sum(axis)


def _of_class(
  weights, is_true, counts, inside, ranks, num_objects
) -> Tuple[Any, ...]:
  """The numbers of a class.

  Args:
    weights: int [R, n], of its detections by falling score.
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
  for area, num in enumerate(num_objects):
    shared = np.flatnonzero(inside[area])
    before = _sums(weights[:, shared])
    reached = average_precision.reached(num)
    for threshold, is_found in enumerate(is_true[area]):
      at = np.flatnonzero(is_found)
      if not at.size:
        continue
      found = _sums(weights[:, at])[:, 1:]
      total = before[:, np.searchsorted(shared, at, 'right')]
      change = counts[area, threshold].astype(np.int8) - inside[area]
      changed = np.flatnonzero(change)
      changes = _sums(weights[:, changed] * change[changed])
      total += changes[:, np.searchsorted(changed, at, 'right')]
      ap[area, threshold] = average_precision.mean(found, total, reached)
      recall[area, threshold] = found[:, -1]
      for row, most in enumerate((1, 10) if area == 0 else ()):
        few[row, threshold] = weights[:, at[ranks[at] < most]].sum(1)
  with np.errstate(invalid='ignore'):
    recall /= num_objects[:, np.newaxis]
    few /= num_objects[0]
  ap[np.isnan(recall)] = np.nan
  return ap, recall, few


def _sums(weights) -> np.ndarray:
  """Sums of the first 0, 1, ... columns, int32."""
  sums = np.zeros([len(weights), weights.shape[1] + 1], np.int32)
  np.cumsum(weights, axis=1, dtype=np.int32, out=sums[:, 1:])
  return sums
