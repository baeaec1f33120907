"""Which config key stands behind an operation."""

import re
from typing import NamedTuple

from executor.preflight import op_names
from ops import postprocess_ops


class _Cause(NamedTuple):
  """Attributes:
  op_type: regex of the whole type.
  place: regex of the start of the name, '' for any.
  remedy: what to change.
  """

  op_type: str
  place: str
  remedy: str


_GRADIENT = r'(gradients(_\d+)?/)?'
# The first that fits counts.
_CAUSES = (
  _Cause(
    '.*',
    'detections/',
    'postprocess.nms_version: choose another of {}'.format(
      ', '.join(postprocess_ops.NMS_VERSIONS.names())
    ),
  ),
  _Cause('(Resource)?(Sparse)?Apply.*', '', 'train.optimizer.type'),
  _Cause('.*', _GRADIENT + 'losses/', 'retinanet_loss'),
  _Cause('.*', _GRADIENT + 'retinanet/', 'retinanet_head'),
  _Cause('.*', _GRADIENT + '(nas)?fpn/', 'architecture.multilevel_features'),
  _Cause(
    '.*',
    _GRADIENT + '(resnet|spinenet|scale_permuted)',
    'architecture.backbone',
  ),
)
_UNKNOWN = 'no config key is known to cause it'


def remedy(op_type: str, op_name: str) -> str:
  """Returns the config key that makes an operation, and what to write there.

  Args:
    op_type: as 'Where'.
    op_name: in the graph.
  """
  place = op_names.of_part(op_name)
  for cause in _CAUSES:
    if re.fullmatch(cause.op_type, op_type) and re.match(cause.place, place):
      return cause.remedy
  return _UNKNOWN
