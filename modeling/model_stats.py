"""Size and cost of the network in a graph."""

import os
from typing import Dict

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import ops
from tensorflow.python.profiler.internal import flops_registry

from utils import files

# Importing the registry registers the cost of element-wise ops; the costs of
# convolutions come with TensorFlow itself.
assert flops_registry
_COSTED = frozenset(
  key.rpartition(',')[0]
  for key in ops._stats_registry.list()
  if key.endswith(',flops')
)


def count_parameters() -> int:
  """Number of trainable weights in the default graph."""
  return int(sum(np.prod(v.shape.as_list()) for v in tf.trainable_variables()))


def count_multiply_adds(batch_size: int) -> float:
  """Multiply-adds for one image of ops in the default graph.

  The statistics that the profiler uses are read node by node, which takes
  milliseconds where a profiler run over the same graph takes many seconds.

  Args:
    batch_size: images in the graph's batch.

  Returns:
    Half of the float operations, divided by the batch size.
  """
  graph = tf.get_default_graph()
  total = 0
  for op in graph.get_operations():
    # Most ops are none of these, and reading a node takes time.
    if op.type not in _COSTED:
      continue
    try:
      cost = ops.get_stats_for_node_def(graph, op.node_def, 'flops').value
    except ValueError:
      continue  # A shape that is not static has no cost.
    total += cost or 0
  return total / 2.0 / batch_size


def model_stats(batch_size: int) -> Dict[str, float]:
  """Parameters in millions, multiply-adds per image in billions."""
  return {
    'num_trainable_params_million': count_parameters() / 1e6,
    'multi_add_flops_billion': count_multiply_adds(batch_size) / 1e9,
  }


def write_model_stats(stats: Dict[str, float], model_dir: str, mode: str):
  """Writes `<mode>_model_stats.json` into `model_dir`, made if absent."""
  path = os.path.join(model_dir, f'{mode}_model_stats.json')
  files.write_json(path, stats)
