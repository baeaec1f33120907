"""ONNX, with non-maximum suppression."""

import logging
import os
from typing import Any, Dict, List

import onnx
import tensorflow.compat.v1 as tf
import tf2onnx
from onnx import helper

from serving import contract
from serving.export import request
from serving.export.formats import onnx_nms, tensor_inputs
from serving.graph import frozen
from utils import errors

FORMAT = 'onnx'
# Says how often it rewrote which operator.
logging.getLogger('tf2onnx').setLevel(logging.WARNING)
# Squeeze, Unsqueeze and Split take their axes as inputs since the first one;
# the last one is what onnxruntime 1.10 runs.
OPSETS = range(13, 16)
_FILE_NAME = 'model.onnx'
_DTYPES = {
  'float32': onnx.TensorProto.FLOAT,
  'int32': onnx.TensorProto.INT32,
}


def write(
  export_request: request.ExportRequest, directory: str
) -> List[contract.Artefact]:
  """Writes `model.onnx`; inputs and outputs are named as the signature's keys.

  Args:
    export_request: what to export; encoded images become float tensors.
    directory: must be there.

  Raises:
    UserError: the checkpoint does not fit the model.
    ConfigError: a value of the request cannot work.
  """
  if export_request.onnx_opset not in OPSETS:
    raise errors.ConfigError(
      'onnx_opset: {} is not supported; supported are {}.'.format(
        export_request.onnx_opset, ', '.join(map(str, OPSETS))
      )
    )
  onnx_request, frozen_model = tensor_inputs.freeze(
    export_request, 'ONNX', input_types=['image_tensor']
  )
  model = _convert(frozen_model, export_request.onnx_opset)
  specs = {spec.key: spec for spec in frozen_model.output_specs}
  has_nms = export_request.params.postprocess.apply_nms
  if has_nms:
    specs = _append_nms(model, specs, export_request)
  else:
    specs = {key: spec._replace(name=key) for key, spec in specs.items()}
  onnx.checker.check_model(model)
  content = model.SerializeToString()
  with open(os.path.join(directory, _FILE_NAME), 'wb') as target:
    target.write(content)
  return [
    contract.Artefact(
      format=FORMAT,
      path=_FILE_NAME,
      input_type=onnx_request.input_type,
      inputs=[s._replace(name=s.key) for s in frozen_model.input_specs],
      outputs=list(specs.values()),
      has_nms=has_nms,
      num_bytes=len(content),
    )
  ]


def _convert(frozen_model: frozen.FrozenModel, opset: int) -> Any:
  renamed = {
    name: key
    for names in (frozen_model.inputs, frozen_model.outputs)
    for key, name in names.items()
  }
  with tf.Graph().as_default() as graph:
    tf.import_graph_def(frozen_model.graph_def, name='')
    for spec in frozen_model.output_specs:
      graph.get_tensor_by_name(spec.name).set_shape(spec.shape)
    converted = tf2onnx.tfonnx.process_tf_graph(
      graph,
      opset=opset,
      input_names=list(frozen_model.inputs.values()),
      output_names=list(frozen_model.outputs.values()),
      tensors_to_rename=renamed,
    )
    optimized = tf2onnx.optimizer.optimize_graph(converted)
  return optimized.make_model('detector')


def _append_nms(
  model: Any,
  specs: Dict[str, contract.TensorSpec],
  export_request: request.ExportRequest,
) -> Dict[str, contract.TensorSpec]:
  """Replaces raw outputs by detections; returns what comes out."""
  settings = _settings(export_request)
  batch_size, num_boxes = specs['raw_boxes'].shape[:2]
  onnx_nms.append(model.graph, 'raw_boxes', 'raw_scores', num_boxes, settings)
  slots = (batch_size, settings.max_detections)
  shapes = {
    'num_detections': ('int32', (batch_size,)),
    'detection_boxes': ('float32', slots + (4,)),
    'detection_classes': (
      'float32' if settings.has_float_classes else 'int32',
      slots,
    ),
    'detection_scores': ('float32', slots),
  }
  _cast_to_float(model.graph, shapes, export_request)
  new = {
    key: contract.TensorSpec(key, key, dtype, shape)
    for key, (dtype, shape) in shapes.items()
  }
  if 'image_info' in specs:
    new['image_info'] = specs['image_info']._replace(name='image_info')
  raw = [o for o in model.graph.output if o.name not in new]
  for output in raw:
    model.graph.output.remove(output)
  model.graph.output.extend(
    helper.make_tensor_value_info(
      spec.name,
      _DTYPES[spec.dtype],
      # A dimension without a number needs a name.
      ['batch' if side is None else side for side in spec.shape],
    )
    for spec in new.values()
    if spec.key != 'image_info'
  )
  return new


def _cast_to_float(
  graph: Any, shapes: Dict[str, Any], export_request: request.ExportRequest
) -> None:
  """Casts the outputs that are asked for as float32, in place."""
  if export_request.cast_num_detections_to_float:
    (node,) = [n for n in graph.node if 'num_detections' in n.output]
    node.output[0] = 'nms/num_detections'
    graph.node.append(
      helper.make_node(
        'Cast',
        ['nms/num_detections'],
        ['num_detections'],
        name='num_detections_to_float',
        to=onnx.TensorProto.FLOAT,
      )
    )
    shapes['num_detections'] = ('float32', shapes['num_detections'][1])


def _settings(export_request: request.ExportRequest) -> onnx_nms.NmsSettings:
  settings = export_request.params.postprocess
  version = 'batched' if settings.use_batched_nms else settings.nms_version
  is_batched = version == 'batched'
  return onnx_nms.NmsSettings(
    max_detections=settings.max_total_size,
    iou_threshold=settings.nms_iou_threshold,
    drops_equal=not is_batched,
    score_threshold=(
      settings.score_threshold
      if is_batched
      else max(settings.score_threshold, -1.0)
    ),
    max_candidates_per_class=(
      None if is_batched else settings.pre_nms_num_boxes
    ),
    padding_score=0.0 if is_batched else -1.0,
    pads_with_best_box=version == 'v1',
    has_float_classes=(
      is_batched or export_request.cast_detection_classes_to_float
    ),
  )
