"""SavedModels, for TensorFlow Serving and for TPUs."""

import os
import shutil
from typing import Any, Dict, List

import tensorflow.compat.v1 as tf

from serving import contract
from serving.export import request
from serving.graph import serving_graph

FORMAT = 'saved_model'
_TAGS = tf.saved_model.tag_constants
_Specs = List[contract.TensorSpec]


def write(
  export_request: request.ExportRequest, directory: str
) -> List[contract.Artefact]:
  """Writes `saved_model.pb` and `variables/` into a directory.

  The signature `serving_default` is that of TensorFlow's predict method; the
  tag is `serve`. With `use_tpu` a second meta graph with the tags `serve` and
  `tpu` shares the variables and the signature, and runs the network on a TPU.

  Raises:
    UserError: the checkpoint does not fit the model.
  """
  options = export_request.options
  # The builder wants a directory of its own.
  temporary = os.path.join(directory, '.saved_model')
  builder = tf.saved_model.builder.SavedModelBuilder(temporary)
  if options.freeze:
    inputs, outputs = _add_frozen(builder, export_request)
  else:
    inputs, outputs = _add(builder, export_request)
  if options.use_tpu:
    _add_for_tpu(builder, export_request)
  builder.save()
  for name in os.listdir(temporary):
    shutil.move(os.path.join(temporary, name), os.path.join(directory, name))
  os.rmdir(temporary)
  return [
    contract.Artefact(
      format=FORMAT,
      path='.',
      input_type=options.input_type,
      inputs=inputs,
      outputs=outputs,
    )
  ]


def _add(builder: Any, export_request: request.ExportRequest) -> List[_Specs]:
  served = serving_graph.build(export_request.params, export_request.options)
  signatures = _signatures(served.inputs, served.outputs)
  with served.restored_session(export_request.checkpoint) as session:
    with served.graph.as_default():
      builder.add_meta_graph_and_variables(
        session, [_TAGS.SERVING], signatures, strip_default_attrs=True
      )
  return [served.input_specs(), served.output_specs()]


def _add_frozen(
  builder: Any, export_request: request.ExportRequest
) -> List[_Specs]:
  model = export_request.frozen()
  with tf.Graph().as_default(), tf.Session() as session:
    inputs, outputs = model.add_to_graph()
    builder.add_meta_graph_and_variables(
      session,
      [_TAGS.SERVING],
      _signatures(inputs, outputs),
      strip_default_attrs=True,
    )
  return [model.inputs, model.outputs]


def _add_for_tpu(builder: Any, export_request: request.ExportRequest) -> None:
  params = export_request.params
  served = serving_graph.build(
    params,
    export_request.options,
    use_bfloat16=params.architecture.use_bfloat16,
    on_tpu=True,
  )
  with served.graph.as_default():
    builder.add_meta_graph(
      [_TAGS.SERVING, _TAGS.TPU],
      _signatures(served.inputs, served.outputs),
      strip_default_attrs=True,
    )


def _signatures(
  inputs: Dict[str, tf.Tensor], outputs: Dict[str, tf.Tensor]
) -> Dict[str, Any]:
  constants = tf.saved_model.signature_constants
  info = tf.saved_model.utils.build_tensor_info
  signature = tf.saved_model.signature_def_utils.build_signature_def(
    inputs={key: info(tensor) for key, tensor in inputs.items()},
    outputs={key: info(tensor) for key, tensor in outputs.items()},
    method_name=constants.PREDICT_METHOD_NAME,
  )
  return {constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature}
