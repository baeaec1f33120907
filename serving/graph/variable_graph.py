"""A frozen graph with variables again in place of its weights.

Constants count against the size that a saved graph may have, 2 GB, and two meta
graphs of one SavedModel can share variables only.
"""

from typing import Dict, List, Optional, Sequence

import tensorflow.compat.v1 as tf

from serving.graph import frozen

Variables = Dict[str, tf.Variable]


def add_variables(model: frozen.FrozenModel) -> Variables:
  """Adds a variable for each of a model's weights to the default graph.

  Returns:
    The variables by the names of the constants, which are theirs, too.
  """
  return {
    node.name: tf.get_variable(
      node.name,
      [dim.size for dim in node.attr['value'].tensor.tensor_shape.dim],
      tf.as_dtype(node.attr['dtype'].type),
      initializer=tf.zeros_initializer(),
      use_resource=True,
    )
    for node in _weights(model)
  }


def initialize(
  session: tf.Session, model: frozen.FrozenModel, variables: Variables
) -> None:
  """Gives variables of `add_variables` the values of the model's weights."""
  # Fed, for initial values would be constants of the graph.
  values = {
    variables[node.name].initial_value: tf.make_ndarray(
      node.attr['value'].tensor
    )
    for node in _weights(model)
    if node.name in variables
  }
  session.run([v.initializer for v in variables.values()], values)


def import_graph(
  graph_def: tf.GraphDef,
  variables: Variables,
  name: str = '',
  input_map: Optional[Dict[str, tf.Tensor]] = None,
  return_elements: Sequence[str] = (),
) -> List[tf.Tensor]:
  """Imports a graph into the default one.

  Args:
    graph_def: of a frozen model or a part of it.
    variables: those that replace the constants of their names.
    name: scope to import into.
    input_map: tensors that replace single outputs of nodes, by their names.
    return_elements: names of tensors to return.
  """
  used = {node.name for node in graph_def.node}
  with tf.name_scope('weights'):
    replaced = {
      weight + ':0': variable.read_value()
      for weight, variable in variables.items()
      if weight in used
    }
  replaced.update(input_map or {})
  dropped = {name.split(':')[0] for name in replaced}
  rest = tf.GraphDef()
  rest.CopyFrom(graph_def)
  rest.ClearField('node')
  rest.node.extend(n for n in graph_def.node if n.name not in dropped)
  return tf.import_graph_def(
    rest,
    input_map=replaced,
    return_elements=list(return_elements),
    name=name,
  )


def _weights(model: frozen.FrozenModel) -> List[tf.NodeDef]:
  names = set(model.weights)
  return [node for node in model.graph_def.node if node.name in names]
