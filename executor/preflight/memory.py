"""What a training step needs of the memory of one TPU core: an estimate.

Counted: weights, the optimizer's slots and one gradient for each trained
weight, all float32; the activations that wait for the backward pass
(`kept_activations`); and one batch of the infeed. Not counted: what XLA needs
within a layer, its program, and what weights are cast to.
"""

import collections
from typing import Dict, List, NamedTuple, Optional, Sequence, Set

import numpy as np
import tensorflow.compat.v1 as tf

from executor.preflight import (
  device_bytes,
  kept_activations,
  layer_groups,
  tpu_graph,
)

# Memory of a core of each kind of TPU (bytes).
CORE_MEMORY = {'v2': 8 * 2**30, 'v3': 16 * 2**30}

_SHARED = ', all levels'
_IMAGE_RANK = 4


class Row(NamedTuple):
  """One group of layers.

  Attributes:
    group: name.
    num_parameters: trainable ones.
    weights, slots, gradients, activations: padded bytes.
  """

  group: str
  num_parameters: int
  weights: int
  slots: int
  gradients: int
  activations: int

  @property
  def total(self) -> int:
    return self.weights + self.slots + self.gradients + self.activations


class Memory(NamedTuple):
  """An estimate for one core.

  Attributes:
    rows: groups in the order of the network.
    infeed: bytes of one batch.
  """

  rows: List[Row]
  infeed: int

  @property
  def num_parameters(self) -> int:
    return sum(row.num_parameters for row in self.rows)

  @property
  def total(self) -> int:
    return sum(row.total for row in self.rows) + self.infeed


def estimate(
  graph: tpu_graph.TpuGraph,
  groups: layer_groups.LayerGroups,
  partition_dims: Optional[Sequence[int]] = None,
) -> Memory:
  """Estimates the memory of a training step.

  Args:
    graph: of the mode 'train'.
    groups: names the groups of layers.
    partition_dims: parts of [batch, height, width, channels] that a replica's
      cores share; None: a replica is one core. It divides activations of four
      dimensions and the images.
  """
  activations = kept_activations.KeptActivations(graph.operations, graph.infeed)
  kept: Dict[str, int] = collections.OrderedDict()
  for op in graph.operations:
    # Groups come in the order of the network, also those that keep nothing.
    if op.outputs and op.outputs[0] in activations.from_images:
      kept.setdefault(groups.name(op.name, _shape(op.outputs[0])), 0)
  for tensor in activations.find():
    shape = _shape(tensor)
    if shape is None:
      continue
    group = groups.name(tensor.op.name, shape)
    kept[group] = kept.get(group, 0) + device_bytes.padded_bytes(
      _part(shape, partition_dims), tensor.dtype
    )
  variables = _variables(graph.graph)
  trained = _trained(graph, variables)
  slots = _slots(variables)
  readers = _Readers(graph.operations, activations.from_images, groups)
  weights = [v for v in variables.values() if v.op not in slots]
  members = readers.by_group(weights, kept)
  with graph.graph.as_default():
    trainable = {v.op for v in tf.trainable_variables()}
  rows = [
    Row(
      group=group,
      num_parameters=sum(
        v.shape.num_elements() for v in owned if v.op in trainable
      ),
      weights=_bytes(owned),
      slots=_bytes([s for v in owned for s in _slots_of(v, slots, variables)]),
      gradients=_bytes([v for v in owned if v.op in trained]),
      activations=kept.get(group, 0),
    )
    for group, owned in members.items()
  ]
  return Memory(
    [row for row in rows if row.total], _infeed(graph, partition_dims)
  )


def _infeed(
  graph: tpu_graph.TpuGraph, partition_dims: Optional[Sequence[int]]
) -> int:
  total = 0
  for name, tensor in zip(graph.infeed_names, graph.infeed):
    size = device_bytes.compact_bytes(_shape(tensor), tensor.dtype)
    if name == 'images' and partition_dims:
      size //= int(np.prod(partition_dims))
    total += size
  return total


def _shape(tensor: tf.Tensor) -> Optional[List[int]]:
  """Static shape; None if it is not, which another check reports."""
  if not tensor.shape.is_fully_defined():
    return None
  return tensor.shape.as_list()


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


def _variables(graph: tf.Graph) -> Dict[tf.Operation, tf.Variable]:
  """Variables by the operation that makes them, in the order of creation.

  Those of the loop's own bookkeeping are not of floats.
  """
  with graph.as_default():
    return collections.OrderedDict(
      (v.op, v)
      for v in sorted(tf.global_variables(), key=lambda v: v.op._id)
      if v.dtype.is_floating
    )


def _variable_op(tensor: tf.Tensor) -> tf.Operation:
  """The variable that a handle is of, outside of the loop."""
  op = tensor.op
  while op.type in ('Enter', 'Identity'):
    op = op.inputs[0].op
  return op


def _trained(
  graph: tpu_graph.TpuGraph, variables: Dict[tf.Operation, tf.Variable]
) -> Set[tf.Operation]:
  """Variables that the optimizer changes."""
  changed = (
    _variable_op(op.inputs[0])
    for op in graph.operations
    if op.type.startswith('ResourceApply')
  )
  return {op for op in changed if op in variables}


def _slots(
  variables: Dict[tf.Operation, tf.Variable],
) -> Dict[tf.Operation, tf.Operation]:
  """Slots of the optimizer: {its operation: that of its weight}."""
  by_name = {op.name: op for op in variables}
  owners = {}
  for op in variables:
    owner = by_name.get(op.name.rpartition('/')[0])
    if owner is not None:
      owners[op] = owner
  return owners


def _slots_of(
  variable: tf.Variable,
  slots: Dict[tf.Operation, tf.Operation],
  variables: Dict[tf.Operation, tf.Variable],
) -> List[tf.Variable]:
  return [variables[op] for op, owner in slots.items() if owner is variable.op]


class _Readers:
  """Finds the groups of layers that read variables."""

  def __init__(
    self,
    operations: Sequence[tf.Operation],
    from_images: Set[tf.Tensor],
    groups: layer_groups.LayerGroups,
  ):
    self._members = set(operations)
    self._from_images = from_images
    self._groups = groups

  def by_group(
    self, variables: Sequence[tf.Variable], first_groups: Sequence[str]
  ) -> Dict[str, List[tf.Variable]]:
    """Variables by group: `first_groups`, then those that share weights."""
    found: Dict[str, List[tf.Variable]] = collections.OrderedDict(
      (group, []) for group in first_groups
    )
    of_scope: Dict[str, str] = {}
    unread = []
    for variable in variables:
      scope = variable.op.name.rpartition('/')[0]
      groups = self._groups_of(variable)
      if not groups:
        unread.append((scope, variable))
        continue
      group = groups[0]
      if len(groups) > 1:
        group = variable.op.name.split('/')[0] + _SHARED
      of_scope[scope] = group
      found.setdefault(group, []).append(variable)
    # A moving average is only written; its layer's other variables are read.
    for scope, variable in unread:
      group = of_scope.get(scope, scope.split('/')[0] or layer_groups.INPUT)
      found.setdefault(group, []).append(variable)
    return found

  def _groups_of(self, variable: tf.Variable) -> List[str]:
    found: Dict[str, None] = collections.OrderedDict()
    seen: Set[tf.Operation] = set()
    waiting = list(variable.op.outputs)
    while waiting:
      for op in waiting.pop().consumers():
        if op in seen or (op not in self._members and op.type != 'Enter'):
          continue
        seen.add(op)
        if kept_activations.is_backward(op) or not op.outputs:
          continue
        output = op.outputs[0]
        if output not in self._from_images:
          waiting.extend(op.outputs)
          continue
        shape = _shape(output)
        # Not the new value of a moving average.
        if shape is not None and len(shape) == _IMAGE_RANK:
          found[self._groups.name(op.name, shape)] = None
    return list(found)
