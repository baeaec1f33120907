"""SavedModels, for TensorFlow Serving and for TPUs."""

import os
import shutil
from typing import Any, Dict, List

import tensorflow.compat.v1 as tf

from serving import contract
from serving.export import request
from serving.graph import frozen, tpu_graph, variable_graph

FORMAT = 'saved_model'


def write(
  export_request: request.ExportRequest, directory: str
) -> List[contract.Artefact]:
  """Writes `saved_model.pb` and `variables/` into a directory.

  The signature `serving_default` is that of TensorFlow's predict method; the
  tag is `serve`. With `use_tpu` a second meta graph with the tags `serve` and
  `tpu` shares the variables and the signature, and runs the network on a TPU.

  Args:
    export_request: what to export.
    directory: must be there.

  Raises:
    UserError: the checkpoint does not fit the model.
    ConfigError: a value of the request cannot work.
  """
  model = frozen.freeze(export_request.build_graph(), export_request.checkpoint)
  # The builder wants a directory of its own.
  temporary = os.path.join(directory, '.saved_model')
  builder = tf.saved_model.builder.SavedModelBuilder(temporary)
  with tf.Graph().as_default() as graph:
    variables = _variables(export_request, model)
    variable_graph.import_graph(model.graph_def, variables)
    with tf.Session(graph=graph) as session:
      variable_graph.initialize(session, model, variables)
      builder.add_meta_graph_and_variables(
        session,
        [tf.saved_model.tag_constants.SERVING],
        _signatures(model, graph),
        strip_default_attrs=True,
      )
  if export_request.use_tpu:
    _add_tpu_meta_graph(builder, export_request)
  builder.save()
  for name in os.listdir(temporary):
    shutil.move(os.path.join(temporary, name), os.path.join(directory, name))
  os.rmdir(temporary)
  return [
    contract.Artefact(
      format=FORMAT,
      path='.',
      input_type=export_request.input_type,
      inputs=model.input_specs,
      outputs=model.output_specs,
      has_nms=export_request.params.postprocess.apply_nms,
    )
  ]


def _add_tpu_meta_graph(
  builder: tf.saved_model.builder.SavedModelBuilder,
  export_request: request.ExportRequest,
) -> None:
  use_bfloat16 = export_request.params.architecture.use_bfloat16
  model = frozen.freeze(
    export_request.build_graph(use_bfloat16), export_request.checkpoint
  )
  with tf.Graph().as_default() as graph:
    tpu_graph.build(model, _variables(export_request, model))
    tags = tf.saved_model.tag_constants
    builder.add_meta_graph(
      [tags.SERVING, tags.TPU],
      _signatures(model, graph),
      strip_default_attrs=True,
    )


def _variables(
  export_request: request.ExportRequest, model: frozen.FrozenModel
) -> variable_graph.Variables:
  if export_request.freeze:
    return {}
  return variable_graph.add_variables(model)


def _signatures(model: frozen.FrozenModel, graph: tf.Graph) -> Dict[str, Any]:
  def tensor_infos(specs):
    infos = {}
    for spec in specs:
      tensor = graph.get_tensor_by_name(spec.name)
      # Import infers shapes anew, and not all of them.
      tensor.set_shape(spec.shape)
      infos[spec.key] = tf.saved_model.utils.build_tensor_info(tensor)
    return infos

  constants = tf.saved_model.signature_constants
  signature = tf.saved_model.signature_def_utils.build_signature_def(
    inputs=tensor_infos(model.input_specs),
    outputs=tensor_infos(model.output_specs),
    method_name=constants.PREDICT_METHOD_NAME,
  )
  return {constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature}
