"""Requests for runtimes that cannot decode images."""

import logging
from typing import Sequence, Tuple

import tensorflow.compat.v1 as tf

from ops import preprocess_ops
from serving.export import request
from serving.graph import frozen

_log = logging.getLogger(__name__)

_RAW = 'raw_image_tensor'


def freeze(
  export_request: request.ExportRequest,
  format_name: str,
  input_types: Sequence[str],
) -> Tuple[request.ExportRequest, frozen.FrozenModel]:
  """Freezes a model with raw outputs and an input that the format takes.

  In place of other inputs it takes `raw_image_tensor`: normalised float32 of
  the padded size. Boxes are clipped to the image without padding as before.

  Args:
    export_request: what is asked for.
    format_name: named in the log where the input changes.
    input_types: those that the format takes besides.

  Returns:
    The request as it was carried out, and the model.
  """
  changed = with_raw_outputs(export_request)
  if export_request.input_type not in (_RAW, *input_types):
    changed = _with_raw_input(changed, format_name)
  model = frozen.freeze(changed.build_graph(), changed.checkpoint)
  if changed.image_size != export_request.image_size:
    _set_desired_size(model, export_request.image_size)
  return changed, model


def _with_raw_input(
  export_request: request.ExportRequest, format_name: str
) -> request.ExportRequest:
  height, width = preprocess_ops.padded_size(
    export_request.image_size,
    2**export_request.params.architecture.max_level,
  )
  _log.info(
    'Instead of %s, %s takes raw_image_tensor: float32 [%s, %d, %d, 3], '
    'normalised and padded.',
    export_request.input_type,
    format_name,
    export_request.batch_size or 'any',
    height,
    width,
  )
  return export_request._replace(input_type=_RAW, image_size=(height, width))


def _set_desired_size(
  model: frozen.FrozenModel, image_size: Sequence[int]
) -> None:
  """Sets the size that boxes are clipped to, in place."""
  nodes = {node.name: node for node in model.graph_def.node}
  node = nodes[model.image_info.split(':')[0]]
  # A constant that is repeated for every image.
  while node.op != 'Const':
    node = nodes[node.input[0]]
  info = tf.make_ndarray(node.attr['value'].tensor).copy()
  info[:, 1] = image_size
  node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(info))


def with_raw_outputs(
  export_request: request.ExportRequest,
) -> request.ExportRequest:
  """Returns the request without NMS."""
  params = type(export_request.params)(export_request.params.as_dict())
  params.override({'postprocess': {'apply_nms': False}})
  return export_request._replace(params=params)
