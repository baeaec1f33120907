"""Which class is taken for which, as tables of a page."""

from typing import Any, Dict, List

import numpy as np

_MOST_CLASSES, _MOST_PAIRS = 16, 40


def tables(matrix: np.ndarray, names: List[str]) -> Dict[str, Any]:
  """The classes that are confused most, as a matrix, and pairs of all.

  Args:
    matrix: int [K, K], true classes by predicted ones.
    names: of the K classes.
  """
  wrong = matrix.copy()
  np.fill_diagonal(wrong, 0)
  totals = matrix.sum(axis=1)
  by_errors = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)))
  kept = sorted(by_errors[:_MOST_CLASSES])
  pairs = np.dstack(np.unravel_index(np.argsort(-wrong.ravel()), wrong.shape))
  return {
    'names': [names[i] for i in kept],
    'num_left_out': len(names) - len(kept),
    'rows': [
      [(int(matrix[i, j]), matrix[i, j] / max(totals[i], 1)) for j in kept]
      for i in kept
    ],
    'pairs': [
      (names[i], names[j], int(wrong[i, j]), wrong[i, j] / totals[i])
      for i, j in pairs[0][:_MOST_PAIRS]
      if wrong[i, j]
    ],
  }
