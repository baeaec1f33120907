"""The mean of COCO's interpolated precision over 101 recalls."""

import numpy as np

_RECALLS = np.linspace(0, 1, 101)
_EPSILON = np.spacing(1)


def reached(num_objects: np.ndarray) -> np.ndarray:
  """How many of the recalls 0, 1, 2, ... objects reach.

  Args:
    num_objects: int [R], of R sets.

  Returns:
    int8 [R, n], up to the largest number of objects.
  """
  found = np.arange(num_objects.max() + 1)
  recalls = found / np.maximum(num_objects, 1)[:, np.newaxis]
  return np.searchsorted(_RECALLS, recalls, 'right').astype(np.int8)


def mean(
  found: np.ndarray, total: np.ndarray, num_reached: np.ndarray
) -> np.ndarray:
  """Returns the average precision of R sets, float [R].

  Precision is highest at a true positive, so no others need to be looked at.

  Args:
    found: int [R, n], number of true positives up to each of them.
    total: int [R, n], number of detections up to each of them.
    num_reached: of `reached`.
  """
  precision = found / (total + _EPSILON)
  np.maximum.accumulate(precision[:, ::-1], axis=1, out=precision[:, ::-1])
  rises = np.diff(np.take_along_axis(num_reached, found, 1), axis=1, prepend=0)
  return np.einsum('ij,ij->i', precision, rises) / len(_RECALLS)
