"""Serving graph with the weights of a checkpoint in it."""

from typing import Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from serving import contract
from serving.graph import serving_graph


class FrozenModel(NamedTuple):
  """A graph without variables and training parts.

  Attributes:
    graph_def: the graph.
    inputs: names, dtypes and shapes of what is fed.
    outputs: likewise. A graph_def alone does not tell all shapes.
  """

  graph_def: tf.GraphDef
  inputs: List[contract.TensorSpec]
  outputs: List[contract.TensorSpec]

  def add_to_graph(self) -> List[Dict[str, tf.Tensor]]:
    """Adds it to the default graph; returns inputs and outputs by key."""
    tf.import_graph_def(self.graph_def, name='')
    sides = []
    for specs in (self.inputs, self.outputs):
      tensors = {}
      for spec in specs:
        tensors[spec.key] = tf.get_default_graph().get_tensor_by_name(spec.name)
        tensors[spec.key].set_shape(spec.shape)
      sides.append(tensors)
    return sides


def freeze(served: serving_graph.ServingGraph, checkpoint: str) -> FrozenModel:
  """Joins a graph and the values of its variables.

  Args:
    served: operations that restore variables are added to its graph.
    checkpoint: prefix of the checkpoint's files.

  Raises:
    UserError: the checkpoint does not hold all variables in their shapes.
  """
  inputs, outputs = served.input_specs(), served.output_specs()
  kept = [spec.name.split(':')[0] for spec in inputs + outputs]
  kept += [
    op.name
    for op in served.graph.get_operations()
    if op.name == serving_graph.FLAT_FEATURES
  ]
  with served.restored_session(checkpoint) as session:
    graph_def = tf.graph_util.convert_variables_to_constants(
      session, served.graph.as_graph_def(), kept
    )
  # What removes nodes forgets the functions.
  functions = graph_def.library
  graph_def = tf.graph_util.remove_training_nodes(graph_def, kept)
  graph_def.library.CopyFrom(functions)
  # A node that is to be where a removed one was would bring that back.
  for node in graph_def.node:
    node.attr.pop('_class', None)
  graph_def = tf.graph_util.extract_sub_graph(graph_def, kept)
  return FrozenModel(graph_def, inputs, outputs)
