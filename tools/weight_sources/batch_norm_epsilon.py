"""Batch norms of one epsilon in a network of another."""

from typing import Dict, Mapping

import numpy as np

_GAMMA = '/gamma'


def folded(
  values: Mapping[str, np.ndarray], source: float, target: float
) -> Dict[str, np.ndarray]:
  """Returns the values with which inference is that of the source.

  gamma / sqrt(variance + epsilon) stays what it was if gamma becomes gamma *
  sqrt((variance + target) / (variance + source)). The moving variance could
  take the difference instead, but would be below 0 where it is less than
  target - source, and no longer what training measures.

  Args:
    values: of variables by name.
    source: epsilon that they were trained with.
    target: epsilon of the network here.
  """
  result = dict(values)
  for name, gamma in values.items():
    if name.endswith(_GAMMA):
      layer = name[: -len(_GAMMA)]
      variance = values[layer + '/moving_variance'].astype(np.float64)
      factor = np.sqrt((variance + target) / (variance + source))
      result[name] = np.float32(gamma * factor)
  return result
