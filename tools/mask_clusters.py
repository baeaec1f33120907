"""Clusters of the masks of records (k-means, Kuo et al., arXiv:1904.03239)."""

import collections
from typing import Any, Dict, List, Optional

import cv2
import numpy as np

from utils import errors

# Of a row; more make the means no better.
_MOST_MASKS = 10000
_NUM_TRIES = 3

Masks = Dict[int, List[np.ndarray]]  # bool [size, size], by class id


def read_masks(
  file_pattern: str, size: int, num_classes: Optional[int] = None
) -> Masks:
  """Reads what boxes show of the masks of their objects.

  Args:
    file_pattern: of records of a detector, with masks.
    size: side of the crops, cells.
    num_classes: number of classes, the background included, if it is known.

  Returns:
    The first 10,000 masks of each class, crowds and boxes without area left
    out.

  Raises:
    errors.DataError: a record cannot be used.
  """
  from dataloader import record_check, record_contents, record_files

  masks: Masks = collections.defaultdict(list)
  checker = record_check.RecordChecker(
    num_classes or 2**31,
    decode_images=False,
    on_good_record=lambda feature: _add(masks, feature, size),
    contents=record_contents.OBJECTS_WITH_MASKS,
  )
  for problem in checker.problems(
    record_files.find_files(file_pattern, '--file_pattern')
  ):
    raise errors.DataError(f'{problem} tools/check_records.py lists all such.')
  if not masks:
    raise errors.DataError(f'--file_pattern={file_pattern} has no masks.')
  return masks


def _add(masks: Masks, feature: Any, size: int) -> None:
  """Adds the masks of a record."""
  classes = feature['image/object/class/label'].int64_list.value
  crowds = feature['image/object/is_crowd'].int64_list.value
  sides = [
    feature['image/object/bbox/' + side].float_list.value
    for side in ('ymin', 'xmin', 'ymax', 'xmax')
  ]
  pngs = feature['image/object/mask'].bytes_list.value
  for class_id, is_crowd, png, box in zip(
    classes, crowds or [0] * len(classes), pngs, zip(*sides)
  ):
    ymin, xmin, ymax, xmax = box
    has_area = ymax > ymin and xmax > xmin
    if is_crowd or not has_area or len(masks[class_id]) >= _MOST_MASKS:
      continue
    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
      raise errors.DataError(
        'A mask does not decode. tools/check_records.py tells of which record.'
      )
    height, width = mask.shape
    # Sampled as targets are.
    x, y = np.meshgrid(
      np.linspace(xmin, xmax, size, dtype=np.float32) * (width - 1),
      np.linspace(ymin, ymax, size, dtype=np.float32) * (height - 1),
    )
    crop = cv2.remap(np.float32(mask > 0), x, y, cv2.INTER_LINEAR)
    masks[class_id].append(crop >= 0.5)


def cluster(masks: List[np.ndarray], num_clusters: int) -> np.ndarray:
  """Means of clusters of masks, the largest cluster first.

  Args:
    masks: each bool [size, size], at least one.
    num_clusters: of fewer masks each is repeated.

  Returns:
    float32 [num_clusters, size, size] in [0, 1].
  """
  data = np.float32(masks).reshape([len(masks), -1])
  means = data
  if len(data) > num_clusters:
    cv2.setRNGSeed(0)
    _, labels, means = cv2.kmeans(
      data,
      num_clusters,
      None,
      (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-3),
      _NUM_TRIES,
      cv2.KMEANS_PP_CENTERS,
    )
    means = means[np.argsort(-np.bincount(labels.ravel()))]
  # Each is repeated where there are fewer.
  means = np.resize(means, [num_clusters, data.shape[1]])
  return np.clip(means, 0, 1).reshape([num_clusters, *masks[0].shape])


def make(
  masks: Masks, num_classes: int, num_clusters: int, is_class_agnostic: bool
) -> np.ndarray:
  """Returns priors float32 [num_classes or 1, num_clusters, size, size].

  Those of the background, and of a class without masks, are zeros. One row is
  of 10,000 masks at most, evenly taken from all.
  """
  if is_class_agnostic:
    pooled = sum(masks.values(), [])
    evenly = pooled[:: -(-len(pooled) // _MOST_MASKS)]
    return cluster(evenly, num_clusters)[np.newaxis]
  size = len(next(iter(masks.values()))[0])
  priors = np.zeros([num_classes, num_clusters, size, size], np.float32)
  for class_id, of_class in masks.items():
    priors[class_id] = cluster(of_class, num_clusters)
  return priors
