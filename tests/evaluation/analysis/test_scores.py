"""F1, histogram and calibration by hand."""

import numpy as np
import pytest

from evaluation.analysis import scores


def test_equal_scores_stay_together_for_the_best_f1():
  values = np.array([0.9, 0.5, 0.7, 0.5, 0.1])
  is_true = np.array([True, True, False, True, False])
  # Kept at 0.9: 2 * 1 / (1 + 4); at 0.5: 2 * 3 / (4 + 4).
  assert scores.best_f1(values, is_true, 4) == (0.75, 0.5)
  assert scores.best_f1(values, is_true & (values > 0.5), 4) == (0.4, 0.9)
  assert scores.best_f1(values, ~np.ones(5, bool), 4) == (0, np.inf)
  assert scores.best_f1(np.zeros(0), np.zeros(0, bool), 4) == (0, np.inf)


def test_histogram():
  found = scores.histogram(
    np.array([0.02, 0.03, 0.06, 0.06, 1.0, 1.5]),
    np.array([True, False, False, False, True, True]),
  )
  assert found.tolist() == [[1] + 18 * [0] + [2], [1, 2] + 18 * [0]]


def test_calibration():
  found = scores.calibration(
    np.array([0.82, 0.88, 0.12, 0.14, 0.16]),
    np.array([True, False, False, False, True]),
  )
  assert found.scores[[1, 8]] == pytest.approx([0.14, 0.85])
  assert found.precisions[[1, 8]] == pytest.approx([1 / 3, 0.5])
  assert np.flatnonzero(~np.isnan(found.scores)).tolist() == [1, 8]
  # 3 of 5 are off by 1/3 - 0.14, 2 of 5 by 0.35.
  assert found.error == pytest.approx(0.6 * (1 / 3 - 0.14) + 0.4 * 0.35)
