"""Inputs of formats that cannot decode images."""

import logging
from typing import Sequence

from configs import params_dict
from modeling import served_output
from ops import preprocess_ops
from serving.export import request

_log = logging.getLogger(__name__)

_RAW = 'raw_image_tensor'
RAW_BOXES = {served_output.RAW_BOXES, served_output.RAW_SCORES}


def ends_raw(export_request: request.ExportRequest) -> bool:
  """Whether a model can leave NMS to what comes behind it.

  Masks are those of the boxes that NMS leaves.
  """
  kinds = export_request.kinds
  return kinds >= RAW_BOXES and served_output.MASKS not in kinds


def adapted(
  export_request: request.ExportRequest,
  format_name: str,
  input_types: Sequence[str] = (),
) -> request.ExportRequest:
  """Returns what a format can carry out of what is asked for.

  In place of other inputs it takes `raw_image_tensor`: normalised float32 of
  the padded size. Boxes are clipped to the image without padding as before. A
  model that may put out raw boxes does so.

  Args:
    export_request: what is asked for.
    format_name: named in the log where the input changes.
    input_types: those that the format takes besides.
  """
  params, _, options = export_request
  if ends_raw(export_request):
    params = params_dict.with_overrides(
      params, {'postprocess.apply_nms': False}
    )
  if options.input_type not in (_RAW, *input_types):
    _log.info(
      'Instead of %s, %s takes raw_image_tensor: float32 [%s, %d, %d, 3], '
      'normalised and padded.',
      options.input_type,
      format_name,
      options.batch_size or 'any',
      *preprocess_ops.padded_size(
        options.image_size, export_request.model.stride
      ),
    )
    options = options._replace(input_type=_RAW)
  return export_request._replace(params=params, options=options)
