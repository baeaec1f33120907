"""How many bytes a tensor takes in the memory of a TPU core.

A TPU keeps the last two dimensions of an array in tiles of 8 x 128 elements,
and fills them up. That holds for bfloat16, too: two rows share the bits of one
of float32, and the tile keeps its 8 rows at half the bytes. A vector is filled
up to a multiple of 128.
"""

import itertools
from typing import Sequence

import numpy as np
import tensorflow.compat.v1 as tf

_ROWS, _COLUMNS = 8, 128


def padded_bytes(shape: Sequence[int], dtype: tf.DType) -> int:
  """Bytes of an array whose last two dimensions are padded to 8 x 128.

  Args:
    shape: static; of a scalar, empty.
    dtype: of the elements.
  """
  padded = list(shape)
  for axis, multiple in ((-1, _COLUMNS), (-2, _ROWS)):
    if len(padded) >= -axis:
      padded[axis] = -(-padded[axis] // multiple) * multiple
  return int(np.prod(padded, dtype=np.int64)) * dtype.size


def compact_bytes(shape: Sequence[int], dtype: tf.DType) -> int:
  """Bytes of an array in the order of dimensions that pads it least.

  What the host feeds arrives in such an order.
  """
  if len(shape) < 2:
    return padded_bytes(shape, dtype)
  sizes = []
  for last in itertools.permutations(range(len(shape)), 2):
    others = [size for axis, size in enumerate(shape) if axis not in last]
    order = others + [shape[axis] for axis in last]
    sizes.append(padded_bytes(order, dtype))
  return min(sizes)
