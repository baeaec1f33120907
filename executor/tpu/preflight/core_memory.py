"""Memory of one TPU core in training, an estimate.

Counted: weights, the optimizer's slots and one gradient for each trained
weight, all float32; the activations that wait for the backward pass; and one
batch of the infeed. Not counted: what XLA needs within a layer, its program,
and what weights are cast to.
"""

import itertools
from typing import Dict, List, Optional, Sequence, Set

import numpy as np
import tensorflow.compat.v1 as tf

from executor.tpu.preflight import kept_activations, tpu_graph
from modeling.training import accumulation

# A TPU keeps the last two dimensions in tiles of so many elements and fills
# them up; of bfloat16, too, whose tile has half the bytes.
_ROWS, _COLUMNS = 8, 128


def estimate(
  graph: tpu_graph.TpuGraph, partition_dims: Optional[Sequence[int]] = None
) -> Dict[str, int]:
  """Padded bytes of weights, slots, gradients, activations and infeed.

  Args:
    graph: of the mode 'train'.
    partition_dims: parts of [batch, height, width, channels] that a replica's
      cores share; None: a replica is one core. It divides activations of four
      dimensions and the images.

  Returns:
    Bytes by name of the part; activations for each network.
  """
  with graph.graph.as_default():
    # Those of the loop's own bookkeeping are not of floats.
    variables = {v.op: v for v in tf.global_variables() if v.dtype.is_floating}
  names = {op.name for op in variables}
  slots = {op for op in variables if op.name.rpartition('/')[0] in names}
  trained = _trained(graph.operations)
  parts = {
    'weights': _bytes([v for op, v in variables.items() if op not in slots]),
    'slots of the optimizer': _bytes([variables[op] for op in slots]),
    'gradients': _bytes([v for op, v in variables.items() if op in trained]),
  }
  for tensor in kept_activations.find_kept(graph.operations, graph.infeed):
    # What is not defined is reported by another check.
    if tensor.shape.is_fully_defined():
      name = 'activations of ' + _network(tensor.op.name)
      parts[name] = parts.get(name, 0) + padded_bytes(
        _part(tensor.shape.as_list(), partition_dims), tensor.dtype
      )
  images, *labels = [
    compact_bytes(tensor.shape.as_list(), tensor.dtype)
    for tensor in graph.infeed
  ]
  parts['infeed'] = images // int(np.prod(partition_dims or 1)) + sum(labels)
  return parts


def padded_bytes(shape: Sequence[int], dtype: tf.DType) -> int:
  """Bytes of an array whose last two dimensions are padded to 8 x 128."""
  padded = list(shape)
  for axis, multiple in ((-1, _COLUMNS), (-2, _ROWS)):
    if len(padded) >= -axis:
      padded[axis] = -(-padded[axis] // multiple) * multiple
  return int(np.prod(padded, dtype=np.int64)) * dtype.size


def compact_bytes(shape: Sequence[int], dtype: tf.DType) -> int:
  """Bytes in the order of dimensions that pads least: that of the infeed."""
  if len(shape) < 2:
    return padded_bytes(shape, dtype)
  return min(
    padded_bytes(order, dtype) for order in set(itertools.permutations(shape))
  )


def _network(op_name: str) -> str:
  """The outermost scope; with parts of the batch that within their loop."""
  scopes = op_name.split('/')
  return scopes[1] if scopes[0] == accumulation.SCOPE else scopes[0]


def _part(
  shape: List[int], partition_dims: Optional[Sequence[int]]
) -> Sequence[int]:
  if not partition_dims or len(shape) != len(partition_dims):
    return shape
  return [-(-size // parts) for size, parts in zip(shape, partition_dims)]


def _bytes(variables: Sequence[tf.Variable]) -> int:
  return sum(
    padded_bytes(v.shape.as_list(), v.dtype.base_dtype) for v in variables
  )


def _trained(operations: Sequence[tf.Operation]) -> Set[tf.Operation]:
  """Variables that the optimizer changes."""
  found = set()
  for op in operations:
    if op.type.startswith('ResourceApply'):
      # The variable that the handle is of, outside of the loop.
      source = op.inputs[0].op
      while source.type in ('Enter', 'Identity'):
        source = source.inputs[0].op
      found.add(source)
  return found
