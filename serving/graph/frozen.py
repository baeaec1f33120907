"""From a serving graph and a checkpoint to one graph with its weights."""

from typing import Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from modeling import checkpoint as checkpoint_lib
from serving import contract
from serving.graph import serving_graph as serving_graph_lib


class FrozenModel(NamedTuple):
  """A graph without variables and training parts.

  Attributes:
    graph_def: the graph.
    inputs: tensor names such as 'Placeholder:0' by signature key.
    outputs: tensor names by signature key.
    input_specs: names, dtypes and shapes of the inputs.
    output_specs: likewise of the outputs. A graph_def alone does not tell all
      shapes.
    images: name of the tensor that the network starts from.
    image_info: name of the tensor that says how images were resized.
    further: names of tensors outside of the signature that clients fetch.
    weights: names of the constants that are variables of the checkpoint.
  """

  graph_def: tf.GraphDef
  inputs: Dict[str, str]
  outputs: Dict[str, str]
  input_specs: List[contract.TensorSpec]
  output_specs: List[contract.TensorSpec]
  images: str
  image_info: str
  further: List[str]
  weights: List[str]


def freeze(
  serving_graph: serving_graph_lib.ServingGraph, checkpoint: str
) -> FrozenModel:
  """Joins a graph and the values of its variables.

  Args:
    serving_graph: of `serving_graph.build`; operations that restore variables
      are added to its graph.
    checkpoint: prefix of the checkpoint's files.

  Raises:
    UserError: the checkpoint does not hold all variables in their shapes.
  """
  inputs = _names(serving_graph.inputs)
  outputs = _names(serving_graph.outputs)
  boundary = _names(
    {'images': serving_graph.images, 'image_info': serving_graph.image_info}
  )
  further = [tensor.name for tensor in serving_graph.further]
  names = [*inputs.values(), *outputs.values(), *boundary.values(), *further]
  kept = sorted(name.split(':')[0] for name in names)
  with serving_graph.graph.as_default():
    variables = tf.global_variables()
    checkpoint_lib.check_restorable(checkpoint, variables)
    with tf.Session(graph=serving_graph.graph) as session:
      tf.train.Saver(variables).restore(session, checkpoint)
      graph_def = tf.graph_util.convert_variables_to_constants(
        session, serving_graph.graph.as_graph_def(), kept
      )
    weights = [variable.op.name for variable in variables]
  # What removes nodes forgets the functions.
  functions = graph_def.library
  graph_def = tf.graph_util.remove_training_nodes(graph_def, kept)
  graph_def.library.CopyFrom(functions)
  graph_def = tf.graph_util.extract_sub_graph(graph_def, kept)
  nodes = {node.name for node in graph_def.node}
  return FrozenModel(
    graph_def=graph_def,
    inputs=inputs,
    outputs=outputs,
    input_specs=_specs(serving_graph.inputs),
    output_specs=_specs(serving_graph.outputs),
    further=further,
    weights=[name for name in weights if name in nodes],
    **boundary,
  )


def _names(tensors: Dict[str, tf.Tensor]) -> Dict[str, str]:
  return {key: tensor.name for key, tensor in tensors.items()}


def _specs(tensors: Dict[str, tf.Tensor]) -> List[contract.TensorSpec]:
  return [
    contract.TensorSpec(
      key=key,
      name=tensor.name,
      dtype=tensor.dtype.name,
      shape=tuple(tensor.shape.as_list()),
    )
    for key, tensor in sorted(tensors.items())
  ]
