"""A serving graph whose network runs on a TPU."""

from typing import Dict, List

import tensorflow.compat.v1 as tf
from tensorflow.python.framework import function
from tensorflow.python.tpu import functional as tpu_functional
from tensorflow.python.tpu.ops import tpu_ops

from serving.graph import frozen, variable_graph


def build(
  model: frozen.FrozenModel, variables: variable_graph.Variables
) -> None:
  """Adds a model to the default graph, split between host and TPU.

  Decoding and preprocessing stay on the host; network and NMS are compiled for
  one TPU core. Inputs and outputs have the names that they have in the model.

  Args:
    model: with a static batch size.
    variables: in the default graph, by the names of the weights whose place
      they take; the other weights are constants.
  """
  boundary = [model.images, model.image_info]
  host_keys = [key for key in model.outputs if key == 'image_info']
  host_outputs = [model.outputs[key] for key in host_keys]
  tpu_outputs = model.further + [
    name for key, name in model.outputs.items() if key not in host_keys
  ]
  host = tf.graph_util.extract_sub_graph(
    model.graph_def, _nodes(boundary + host_outputs)
  )
  images, image_info = variable_graph.import_graph(
    host, {}, return_elements=boundary
  )
  network_def = tf.graph_util.extract_sub_graph(
    _with_placeholders(
      model.graph_def, {model.images: images, model.image_info: image_info}
    ),
    _nodes(tpu_outputs),
  )
  used = {node.name for node in network_def.node}

  def network(*inputs):
    return variable_graph.import_graph(
      network_def,
      variables,
      name='network',
      input_map={
        name: tensor
        for name, tensor in zip(boundary, inputs)
        if _nodes([name])[0] in used
      },
      return_elements=tpu_outputs,
    )

  # Each call goes to the next core of the host, as with models that a
  # TPUEstimator exports.
  @function.Defun(capture_resource_var_by_value=False)
  def on_any_core():
    return tf.tpu.rewrite(network, [images, image_info])

  results = tpu_functional.TPUPartitionedCall(
    args=on_any_core.captured_inputs,
    device_ordinal=tpu_ops.tpu_ordinal_selector(),
    Tout=[o.type for o in on_any_core.definition.signature.output_arg],
    f=on_any_core,
  )
  for name, result in zip(_nodes(tpu_outputs), results):
    tf.identity(result, name)


def _with_placeholders(
  graph_def: tf.GraphDef, tensors: Dict[str, tf.Tensor]
) -> tf.GraphDef:
  """Cuts a graph at tensors, which become placeholders of their names."""
  dtypes = {_nodes([name])[0]: tensor.dtype for name, tensor in tensors.items()}
  cut = tf.GraphDef()
  cut.CopyFrom(graph_def)
  for node in cut.node:
    if node.name in dtypes:
      node.op = 'Placeholder'
      node.ClearField('input')
      node.ClearField('attr')
      node.attr['dtype'].type = dtypes[node.name].as_datatype_enum
  return cut


def _nodes(tensors: List[str]) -> List[str]:
  return [name.split(':')[0] for name in tensors]
