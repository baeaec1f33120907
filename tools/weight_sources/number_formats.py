"""Numbers as files of weights hold them."""

import numpy as np

# Numpy has no such type.
BFLOAT16 = 'bfloat16'


def item_size(dtype: str) -> int:
  """Returns the bytes of one number; `dtype` as in `decoded`."""
  return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def decoded(data: bytes, dtype: str) -> np.ndarray:
  """Returns the numbers [n] in some bytes.

  Args:
    data: a multiple of the type's size.
    dtype: name of a numpy type, or `BFLOAT16`, which becomes float32.
  """
  if dtype == BFLOAT16:
    # The upper half of a float32.
    bits = np.frombuffer(data, '<u2').astype(np.uint32) << 16
    return bits.view(np.float32)
  return np.frombuffer(data, dtype)
