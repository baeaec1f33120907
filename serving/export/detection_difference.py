"""Difference between the detections of two programs."""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from serving.predictors import predictor

_Detections = predictor.ImageDetections
# Share of an image's pixels.
_SPECK = 0.01


class Difference(NamedTuple):
  """Of all images together.

  Attributes:
    num_compared: detections of either side that had to have a partner.
    matched_share: of those, in [0, 1]; 1 if there was nothing to compare.
    box_error: largest difference of a coordinate in a pair, pixels of the
      model's image; None without boxes.
    score_error: largest difference of the scores in a pair.
    mean_score_error: mean of these differences.
    mask_error: largest of a pair: mean difference of their masks, which are
      probabilities; or share of the pixels of an image whose classes differ.
      None without masks and class maps.
  """

  num_compared: int
  matched_share: float
  box_error: Optional[float]
  score_error: float
  mean_score_error: float
  mask_error: Optional[float]


def compare(
  expected: Sequence[_Detections],
  found: Sequence[_Detections],
  scales: Sequence[float],
  least_iou: float,
  score_tolerance: float,
  settings: Any,
) -> Difference:
  """Pairs the detections of each image, one to one, and measures them.

  Partners have the same class and overlap by `least_iou`; the closest go first.
  A detection whose score is close to the lowest that an image can show may be
  missing on the other side: rounding decides about it. Without boxes the class
  alone counts.

  Args:
    expected: detections of each image.
    found: the other side's.
    scales: of each image, pixels of the model's image for one of its own.
    least_iou: overlap of partners, in (0, 1].
    score_tolerance: what is close.
    settings: the block `postprocess`, which detectors have.
  """
  num_alone, has_boxes = 0, any(side.boxes is not None for side in expected)
  box_errors, score_errors, mask_errors = [], [], []
  for a, b, scale in zip(expected, found, scales):
    if a.class_map is not None:
      # The map is what is compared.
      mask_errors.append(np.mean(a.class_map != b.class_map))
      score_errors.append(_score_error(a, b))
      continue
    pairs = _pairs(a, b, least_iou)
    for i, j in pairs:
      if a.boxes is not None:
        box_errors.append(np.abs(a.boxes[i] - b.boxes[j]).max() * scale)
      if a.masks is not None:
        mask_errors.append(np.abs(a.masks[i] - b.masks[j]).mean())
      score_errors.append(abs(a.scores[i] - b.scores[j]))
    lowest = max(_lowest_score(side, settings) for side in (a, b))
    for side, partnered in zip((a, b), zip(*pairs) if pairs else ((), ())):
      alone = np.delete(side.scores, partnered)
      num_alone += int(np.sum(alone > lowest + score_tolerance))
  num_matched = 2 * len(score_errors)
  num_compared = num_matched + num_alone
  return Difference(
    num_compared,
    num_matched / num_compared if num_compared else 1.0,
    box_error=float(max(box_errors, default=0.0)) if has_boxes else None,
    score_error=float(max(score_errors, default=0.0)),
    mean_score_error=float(np.mean(score_errors or [0.0])),
    mask_error=float(max(mask_errors)) if mask_errors else None,
  )


def _score_error(a: _Detections, b: _Detections) -> float:
  """Largest difference of the scores of classes that are more than specks."""
  errors = [0.0]
  for class_id in np.intersect1d(a.classes, b.classes):
    if min(np.mean(x.class_map == class_id) for x in (a, b)) > _SPECK:
      scores = [x.scores[x.classes == class_id][0] for x in (a, b)]
      errors.append(abs(scores[0] - scores[1]))
  return max(errors)


def _lowest_score(detections: _Detections, settings: Any) -> float:
  is_classification = detections.boxes is None
  if is_classification or len(detections.scores) >= settings.max_total_size:
    return float(detections.scores.min())
  return settings.score_threshold


def _pairs(
  a: _Detections, b: _Detections, least_iou: float
) -> List[Tuple[int, int]]:
  iou = np.float64(a.classes[:, np.newaxis] == b.classes)
  if a.boxes is not None:
    iou *= _pairwise_iou(a.boxes, b.boxes)
  pairs = []
  order = np.argsort(-iou, axis=None, kind='stable')
  for i, j in zip(*np.unravel_index(order, iou.shape)):
    if iou[i, j] < least_iou:
      break
    pairs.append((i, j))
    iou[i, :] = iou[:, j] = -1.0
  return pairs


def _pairwise_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """IoU of [n, 4] and [m, 4], `[ymin, xmin, ymax, xmax]`: [n, m]."""
  a, b = a[:, np.newaxis].astype(np.float64), b[np.newaxis].astype(np.float64)
  sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(
    a[..., :2], b[..., :2]
  )
  intersection = np.prod(np.maximum(sides, 0.0), axis=-1)
  areas = [np.prod(x[..., 2:] - x[..., :2], axis=-1) for x in (a, b)]
  union = areas[0] + areas[1] - intersection
  return intersection / np.maximum(union, np.finfo(np.float64).tiny)
