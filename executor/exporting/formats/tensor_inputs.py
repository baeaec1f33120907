"""Requests for runtimes that cannot decode images."""

import logging

from executor.exporting import request
from ops import preprocess_ops

_log = logging.getLogger(__name__)

_DECODING = ('image_bytes', 'tf_example')


def with_tensor_input(
  export_request: request.ExportRequest, format_name: str
) -> request.ExportRequest:
  """Returns the request with an input that is an array.

  Encoded images become `raw_image_tensor`: normalised float32 of the padded
  size.

  Args:
    export_request: what is asked for.
    format_name: named in the log where the input changes.
  """
  if export_request.input_type not in _DECODING:
    return export_request
  height, width = preprocess_ops.padded_size(
    export_request.image_size,
    2**export_request.params.architecture.max_level,
  )
  _log.info(
    '%s decodes no images: instead of %s it takes raw_image_tensor, float32 '
    '[%s, %d, %d, 3], normalised.',
    format_name,
    export_request.input_type,
    export_request.batch_size or 'any',
    height,
    width,
  )
  return export_request._replace(
    input_type='raw_image_tensor', image_size=(height, width)
  )


def with_raw_outputs(
  export_request: request.ExportRequest,
) -> request.ExportRequest:
  """Returns the request without NMS."""
  params = type(export_request.params)(export_request.params.as_dict())
  params.override({'postprocess': {'apply_nms': False}})
  return export_request._replace(params=params)
