"""ONNX, with non-maximum suppression."""

import logging
from typing import Any, List

import onnx
import tensorflow.compat.v1 as tf
import tf2onnx
from onnx import helper

from modeling import served_output
from ops import portability, postprocess_ops
from serving import contract
from serving.export import request
from serving.export.formats import (
  number_types,
  onnx_calibration,
  onnx_nms,
  representative,
  tensor_inputs,
)
from serving.graph import frozen
from utils import errors

FORMAT = 'onnx'
TYPES = ('float32', 'int8')
# Says how often it rewrote which operator.
logging.getLogger('tf2onnx').setLevel(logging.WARNING)
# Squeeze, Unsqueeze and Split take their axes as inputs since the first one;
# the last one is what onnxruntime 1.10 runs.
OPSETS = range(13, 16)
_DTYPES = {'float32': onnx.TensorProto.FLOAT, 'int32': onnx.TensorProto.INT32}


def check(export_request: request.ExportRequest) -> None:
  """Raises ConfigError if a request cannot be carried out."""
  opset = export_request.options.onnx_opset
  if opset not in OPSETS:
    raise errors.ConfigError(
      'onnx_opset: {} is not supported; supported are {}.'.format(
        opset, ', '.join(map(str, OPSETS))
      )
    )
  if (
    served_output.BOXES in export_request.kinds
    and not tensor_inputs.ends_raw(export_request)
    and export_request.options.batch_size is None
  ):
    raise errors.ConfigError(
      'batch_size: -1 (any number) is not possible with export_format: onnx of '
      f'the model {export_request.params.type!r}, which suppresses boxes image '
      'by image. Give the number of images.'
    )
  number_types.check(export_request, 'onnx_types', TYPES)


def write(
  export_request: request.ExportRequest, directory: str
) -> List[contract.Artefact]:
  """Writes `model.onnx` (float32) and `model_int8.onnx`.

  Inputs and outputs are float32 in both, and named as the signature's keys.

  Raises:
    UserError: the checkpoint does not fit the model, or an operation of it has
      no counterpart in ONNX.
  """
  onnx_request = tensor_inputs.adapted(
    export_request, 'ONNX', input_types=['image_tensor']
  )
  with portability.required():
    frozen_model = onnx_request.frozen()
  converted = _convert(frozen_model, onnx_request)
  artefacts = []
  for name in onnx_request.options.onnx_types:
    outputs = _renamed(frozen_model.outputs)
    if name == number_types.INT8:
      model = onnx_calibration.quantize(
        converted,
        [s.key for s in outputs if s.kind in number_types.INT8_KINDS],
        representative.batches(onnx_request),
      )
    else:
      model = onnx.ModelProto()
      model.CopyFrom(converted)
    if (
      tensor_inputs.ends_raw(export_request)
      and export_request.params.postprocess.apply_nms
    ):
      outputs = _append_nms(model, outputs, export_request)
    variant = '' if name == TYPES[0] else name
    artefacts.append(
      request.write_file(
        directory,
        'model{}.onnx'.format(variant and '_' + variant),
        model.SerializeToString(),
        format=FORMAT,
        input_type=onnx_request.options.input_type,
        inputs=_renamed(frozen_model.inputs),
        outputs=outputs,
        variant=variant,
      )
    )
  return artefacts


def _renamed(specs: List[contract.TensorSpec]) -> List[contract.TensorSpec]:
  return [spec._replace(name=spec.key) for spec in specs]


def _convert(
  frozen_model: frozen.FrozenModel, onnx_request: request.ExportRequest
) -> Any:
  inputs, outputs = (
    {spec.name: spec.key for spec in specs}
    for specs in (frozen_model.inputs, frozen_model.outputs)
  )
  with tf.Graph().as_default() as graph:
    frozen_model.add_to_graph()
    try:
      converted = tf2onnx.tfonnx.process_tf_graph(
        graph,
        opset=onnx_request.options.onnx_opset,
        input_names=list(inputs),
        output_names=list(outputs),
        tensors_to_rename={**inputs, **outputs},
      )
      optimized = tf2onnx.optimizer.optimize_graph(converted)
      model = optimized.make_model('detector')
      onnx.checker.check_model(model)
    # Operations without a counterpart end in errors of many kinds.
    except Exception as error:
      raise errors.UserError(
        'export_format: onnx cannot carry the model '
        f'{onnx_request.params.type!r}: {error}. Leave onnx out.'
      ) from error
  return model


def _append_nms(
  model: Any,
  raw_specs: List[contract.TensorSpec],
  export_request: request.ExportRequest,
) -> List[contract.TensorSpec]:
  """Replaces raw outputs by detections; returns what comes out."""
  params, _, options = export_request
  has_float_classes = (
    options.cast_detection_classes_to_float
    or postprocess_ops.nms_version(params.postprocess) == 'batched'
  )
  raw = {spec.kind: spec for spec in raw_specs}
  boxes = raw[served_output.RAW_BOXES]
  batch_size, num_boxes = boxes.shape[:2]
  onnx_nms.append(
    model.graph,
    boxes.name,
    raw[served_output.RAW_SCORES].name,
    num_boxes,
    params.postprocess,
    has_float_classes,
  )
  slots = (batch_size, params.postprocess.max_total_size)
  class_dtype = 'float32' if has_float_classes else 'int32'
  count_dtype = 'int32'
  if options.cast_num_detections_to_float:
    _cast_to_float(model.graph, 'num_detections')
    count_dtype = 'float32'
  kinds = served_output
  served = export_request.model.served_outputs
  keys = {kind: key for key, (_, kind) in served.items()}
  new = [
    contract.TensorSpec(keys[kind], name, dtype, shape, kind)
    for name, dtype, shape, kind in (
      ('num_detections', count_dtype, (batch_size,), kinds.COUNT),
      ('detection_boxes', 'float32', slots + (4,), kinds.BOXES),
      ('detection_classes', class_dtype, slots, kinds.CLASSES),
      ('detection_scores', 'float32', slots, kinds.SCORES),
    )
  ]
  rest = [spec for spec in raw_specs if spec.kind == served_output.IMAGE_INFO]
  kept = {spec.name for spec in rest}
  for output in [o for o in model.graph.output if o.name not in kept]:
    model.graph.output.remove(output)
  model.graph.output.extend(
    helper.make_tensor_value_info(
      spec.name,
      _DTYPES[spec.dtype],
      # A dimension without a number needs a name.
      ['batch' if side is None else side for side in spec.shape],
    )
    for spec in new
  )
  return new + rest


def _cast_to_float(graph: Any, name: str) -> None:
  """Casts an output of NMS, in place."""
  (node,) = [n for n in graph.node if name in n.output]
  node.output[0] = 'nms/' + name
  graph.node.append(
    helper.make_node(
      'Cast',
      ['nms/' + name],
      [name],
      name=name + '_to_float',
      to=onnx.TensorProto.FLOAT,
    )
  )
