"""Which tensors of a TPU computation have no shape that XLA could compile."""

from typing import List, NamedTuple

import tensorflow.compat.v1 as tf

from executor.tpu.preflight import op_names

_SCRATCH = "scratch memory of a GPU's kernel; on a TPU it is empty"
_FOLDED = 'XLA works it out from static shapes while it compiles'
# (type, output) of what may be of any shape, and why.
WITHOUT_SHAPE = {
  ('BroadcastGradientArgs', 0): _FOLDED,
  ('BroadcastGradientArgs', 1): _FOLDED,
  ('FusedBatchNormV3', 5): _SCRATCH,
  ('FusedBatchNormGradV3', 3): _SCRATCH,
  ('FusedBatchNormGradV3', 4): _SCRATCH,
}


class Offender(NamedTuple):
  """A tensor whose shape is not fully known when the graph is built.

  Attributes:
    op_type: of the operation that makes it.
    op_name: of that.
    shape: as text, '(8, ?, 4)'; '<unknown>' if not even the rank is known.
    scope: of the layer, '' at the top.
  """

  op_type: str
  op_name: str
  shape: str
  scope: str


def find_offenders(operations: List[tf.Operation]) -> List[Offender]:
  """Looks for tensors without a static shape.

  Args:
    operations: of one graph, see `tpu_graph.TpuGraph`.
  """
  return [
    Offender(
      op_type=op.type,
      op_name=op.name,
      shape=str(tensor.shape),
      scope=op_names.layer_scope(op.name),
    )
    for op in operations
    for tensor in op.outputs
    if not tensor.shape.is_fully_defined() and not _may_be_unknown(tensor)
  ]


def _may_be_unknown(tensor: tf.Tensor) -> bool:
  if tensor.op.type == 'ZerosLike':
    # The gradient of what nothing uses.
    tensor = tensor.op.inputs[0]
  return (tensor.op.type, tensor.value_index) in WITHOUT_SHAPE
