"""What scores say: where to cut them, and how far they can be trusted."""

from typing import NamedTuple, Tuple

import numpy as np


class Calibration(NamedTuple):
  """How far scores are the share of what is right, in bins of 0.1.

  Attributes:
    scores: float [10], the mean score; NaN in an empty bin.
    precisions: float [10], the share of what is right; NaN in an empty bin.
    error: the expected calibration error, the mean of |score - precision| over
      bins, weighted by their counts; NaN of nothing.
  """

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


def histogram(scores: np.ndarray, is_true: np.ndarray) -> np.ndarray:
  """Counts in 20 bins from 0 to 1, int [2, 20]: what is right, and wrong.

  Scores beyond 1 are in the last bin.
  """
  scores = np.clip(scores, 0, 1)
  parts = scores[is_true], scores[~is_true]
  return np.array([np.histogram(part, 20, (0, 1))[0] for part in parts])


def calibration(scores: np.ndarray, is_true: np.ndarray) -> Calibration:
  """Compares n scores with what is right (https://arxiv.org/abs/1706.04599)."""
  scores = np.clip(scores, 0, 1)
  counts, sums, num_true = (
    np.histogram(scores, 10, (0, 1), weights=weights)[0]
    for weights in (None, scores, is_true.astype(float))
  )
  with np.errstate(invalid='ignore'):
    error = np.abs(sums - num_true).sum() / np.float64(counts.sum())
    return Calibration(sums / counts, num_true / counts, float(error))
