"""What a training step needs of the memory of one TPU core: an estimate.

Counted: weights, the optimizer's slots and one gradient for each trained
weight, all float32; the activations that wait for the backward pass
(`kept_activations`); and one batch of the infeed. Not counted: what XLA needs
within a layer, its program, and what weights are cast to.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Set

import numpy as np
import tensorflow.compat.v1 as tf

from executor.tpu.preflight import (
  device_bytes,
  kept_activations,
  op_names,
  tpu_graph,
)

# Memory of a core of each kind of TPU (bytes).
CORE_MEMORY = {'v2': 8 * 2**30, 'v3': 16 * 2**30}


class Memory(NamedTuple):
  """An estimate for one core.

  Attributes:
    parts: padded bytes of weights, slots, gradients, the activations of each
      network and the infeed, by name.
  """

  parts: Dict[str, int]

  @property
  def total(self) -> int:
    return sum(self.parts.values())


def estimate(
  graph: tpu_graph.TpuGraph, partition_dims: Optional[Sequence[int]] = None
) -> Memory:
  """Estimates the memory of a training step.

  Args:
    graph: of the mode 'train'.
    partition_dims: parts of [batch, height, width, channels] that a replica's
      cores share; None: a replica is one core. It divides activations of four
      dimensions and the images.
  """
  with graph.graph.as_default():
    # Those of the loop's own bookkeeping are not of floats.
    variables = {v.op: v for v in tf.global_variables() if v.dtype.is_floating}
  names = {op.name for op in variables}
  slots = {op for op in variables if op.name.rpartition('/')[0] in names}
  trained = _trained(graph)
  parts = {
    'weights': _bytes([v for op, v in variables.items() if op not in slots]),
    'slots of the optimizer': _bytes([variables[op] for op in slots]),
    'gradients': _bytes([v for op, v in variables.items() if op in trained]),
  }
  activations = kept_activations.KeptActivations(graph.operations, graph.infeed)
  for tensor in activations.find():
    # What is not defined is reported by another check.
    if tensor.shape.is_fully_defined():
      network = op_names.of_part(tensor.op.name).split('/')[0]
      name = 'activations of ' + network
      parts[name] = parts.get(name, 0) + device_bytes.padded_bytes(
        _part(tensor.shape.as_list(), partition_dims), tensor.dtype
      )
  parts['infeed'] = _infeed(graph, partition_dims)
  return Memory(parts)


def _infeed(
  graph: tpu_graph.TpuGraph, partition_dims: Optional[Sequence[int]]
) -> int:
  total = 0
  for name, tensor in zip(graph.infeed_names, graph.infeed):
    size = device_bytes.compact_bytes(tensor.shape.as_list(), tensor.dtype)
    if name == 'images' and partition_dims:
      size //= int(np.prod(partition_dims))
    total += size
  return total


def _part(
  shape: List[int], partition_dims: Optional[Sequence[int]]
) -> Sequence[int]:
  if not partition_dims or len(shape) != len(partition_dims):
    return shape
  return [-(-size // parts) for size, parts in zip(shape, partition_dims)]


def _bytes(variables: Sequence[tf.Variable]) -> int:
  return sum(
    device_bytes.padded_bytes(v.shape.as_list(), v.dtype.base_dtype)
    for v in variables
  )


def _trained(graph: tpu_graph.TpuGraph) -> Set[tf.Operation]:
  """Variables that the optimizer changes."""
  found = set()
  for op in graph.operations:
    if op.type.startswith('ResourceApply'):
      # The variable that the handle is of, outside of the loop.
      source = op.inputs[0].op
      while source.type in ('Enter', 'Identity'):
        source = source.inputs[0].op
      found.add(source)
  return found
