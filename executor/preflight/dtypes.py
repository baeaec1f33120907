"""Which parts compute in bfloat16, and which operations stay float32."""

import collections
from typing import Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from executor.preflight import kept_activations, layer_groups, tpu_graph

# What loops are made of computes nothing.
_LOOP_TYPES = frozenset(['Enter', 'Exit', 'Merge', 'NextIteration', 'Switch'])


class Part(NamedTuple):
  """One part of the network.

  Attributes:
    name: of the part.
    num_bfloat16, num_float32: operations of the forward pass whose result has
      that type.
    float32_types: {type of operation: how many}, most frequent first.
  """

  name: str
  num_bfloat16: int
  num_float32: int
  float32_types: Dict[str, int]


def count(
  graph: tpu_graph.TpuGraph, groups: layer_groups.LayerGroups
) -> List[Part]:
  """Counts operations on what comes from the images, by part."""
  activations = kept_activations.KeptActivations(graph.operations, graph.infeed)
  bfloat16: Dict[str, int] = collections.Counter()
  float32: Dict[str, Dict[str, int]] = collections.OrderedDict()
  for op in graph.operations:
    if not op.outputs or op.outputs[0] not in activations.from_images:
      continue
    if op.type in _LOOP_TYPES:
      continue
    output = op.outputs[0]
    name = layer_groups.part(groups.name(op.name, None))
    types = float32.setdefault(name, collections.Counter())
    if output.dtype == tf.bfloat16:
      bfloat16[name] += 1
    elif output.dtype == tf.float32:
      types[op.type] += 1
  return [
    Part(
      name,
      bfloat16[name],
      sum(types.values()),
      collections.OrderedDict(
        sorted(types.items(), key=lambda item: (-item[1], item[0]))
      ),
    )
    for name, types in float32.items()
    if bfloat16[name] or types
  ]
