"""What scores say: where to cut them, and how far they can be trusted."""

from typing import NamedTuple, Tuple

import numpy as np


class ScoreHistogram(NamedTuple):
  """True and false positives by score.

  Attributes:
    edges: float [21], the limits of the bins, 0 to 1.
    true_positives: int [20].
    false_positives: int [20].
  """

  edges: np.ndarray
  true_positives: np.ndarray
  false_positives: np.ndarray


class Calibration(NamedTuple):
  """How far scores are the share of what is right.

  Attributes:
    edges: float [11], the limits of the bins of scores, 0 to 1.
    counts: int [10].
    scores: float [10], the mean score; NaN in an empty bin.
    precisions: float [10], the share of what is right; NaN in an empty bin.
    error: the expected calibration error, the mean of |score - precision| over
      bins, weighted by their counts; NaN of nothing.
  """

  edges: np.ndarray
  counts: np.ndarray
  scores: np.ndarray
  precisions: np.ndarray
  error: float


def best_f1(
  scores: np.ndarray, is_true: np.ndarray, num_objects: int
) -> Tuple[float, float]:
  """Returns the highest F1 and the least score of what gives it.

  Args:
    scores: float [n].
    is_true: bool [n], whether each finds an object.
    num_objects: how many there are to find.

  Returns:
    (0, infinity) without a true positive.
  """
  if not is_true.any():
    return 0.0, np.inf
  order = np.argsort(-scores, kind='stable')
  scores = scores[order]
  # Equal scores stay or go together.
  ends = np.flatnonzero(np.diff(scores, append=-np.inf))
  found = np.cumsum(is_true[order])[ends]
  f1 = 2 * found / (ends + 1 + num_objects)
  best = np.argmax(f1)
  return float(f1[best]), float(scores[ends[best]])


def histogram(scores: np.ndarray, is_true: np.ndarray) -> ScoreHistogram:
  """Counts n detections by score; scores beyond 1 are in the last bin."""
  edges = np.linspace(0, 1, 21)
  scores = np.clip(scores, 0, 1)
  return ScoreHistogram(
    edges,
    np.histogram(scores[is_true], edges)[0],
    np.histogram(scores[~is_true], edges)[0],
  )


def calibration(scores: np.ndarray, is_true: np.ndarray) -> Calibration:
  """Compares n scores with what is right (https://arxiv.org/abs/1706.04599)."""
  edges = np.linspace(0, 1, 11)
  scores = np.clip(scores, 0, 1)
  counts, sums, num_true = (
    np.histogram(scores, edges, weights=weights)[0]
    for weights in (None, scores, is_true.astype(float))
  )
  with np.errstate(invalid='ignore'):
    return Calibration(
      edges,
      counts,
      sums / counts,
      num_true / counts,
      float(np.abs(sums - num_true).sum() / np.float64(counts.sum())),
    )
