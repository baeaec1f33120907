"""Operations of a TPU graph without kernel of XLA or without static shape."""

import functools
import time
from typing import (
  Any,
  Dict,
  List,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

import tensorflow.compat.v1 as tf
from tensorflow.python.framework import kernels

from executor.tpu.preflight import layout, tpu_graph
from utils import errors, garbage_collection

# XLA's compiler for a CPU, which shares the kernels of the one for a TPU.
_COMPILER = 'XLA_CPU_JIT'
# XLA's compiler for a CPU has them, that for a TPU has not.
_NOT_ON_A_TPU = frozenset([tf.float16, tf.float64, tf.complex128, tf.string])
# What a TPU runs although no kernel of `_COMPILER` is there: loops become
# functions before they are compiled; the rest comes with the TPU alone.
WITHOUT_KERNEL = frozenset(
  [
    *('Enter', 'Exit', 'LoopCond', 'Merge', 'NextIteration', 'Switch'),
    *('CrossReplicaSum', 'InfeedDequeueTuple', 'OutfeedEnqueueTuple'),
    'TPUReplicateMetadata',
  ]
)
# A kernel that is there may refuse a value of a bool attribute.
_REFUSED = {'ResizeNearestNeighbor': ('align_corners', False)}
# (type, output) of what may be of any shape: XLA works it out while it
# compiles, or it is scratch memory of a GPU's kernel, empty on a TPU.
_WITHOUT_SHAPE = frozenset(
  [
    *(('BroadcastGradientArgs', 0), ('BroadcastGradientArgs', 1)),
    *(('FusedBatchNormGradV3', 3), ('FusedBatchNormGradV3', 4)),
    ('FusedBatchNormV3', 5),
  ]
)


class Offender(NamedTuple):
  """An operation that a TPU cannot run, and why."""

  op_type: str
  op_name: str
  reason: str


class GraphReport(NamedTuple):
  """What was found in the graph of one mode.

  Attributes:
    mode: of the graph.
    num_operations: inside the computation of a replica; None: the graph cannot
      be built.
    replica_batch_size: images of a step of one replica.
    seconds: to build and check it.
    num_without_kernel: operations that XLA cannot compile.
    num_without_shape: tensors without a static shape.
    problems: messages, each with the layer.
  """

  mode: str
  num_operations: Optional[int]
  replica_batch_size: int
  seconds: float
  num_without_kernel: int
  num_without_shape: int
  problems: List[str]


def check(
  params: Any, mode: str
) -> Tuple[GraphReport, Optional[tpu_graph.TpuGraph]]:
  """Builds and checks the graph of one mode.

  Batches that do not divide, which `layout` is about, are made smaller.

  Args:
    params: the whole config, with `use_tpu`.
    mode: one of `tpu_graph.MODES`.

  Returns:
    What was found, and the graph, None if it cannot be built.
  """
  start = time.perf_counter()
  # What a graph is made of stays: looking for garbage in it costs a tenth.
  with garbage_collection.paused():
    try:
      params = layout.with_batches_that_divide(params)
      graph = tpu_graph.build(params, mode)
    except errors.UserError as error:
      return GraphReport(mode, None, 0, 0.0, 0, 0, [str(error)]), None
    no_kernel = without_kernel(graph.operations)
    no_shape = without_shape(graph.operations)
  return GraphReport(
    mode,
    len(graph.operations),
    graph.replica_batch_size,
    time.perf_counter() - start,
    len(no_kernel),
    len(no_shape),
    _summaries(mode, no_kernel + no_shape),
  ), graph


def without_kernel(operations: Sequence[tf.Operation]) -> List[Offender]:
  """Operations without a kernel, or without one for their types."""
  _load_kernels()
  # Thousands of operations are of a hundred kinds.
  reasons: Dict[Any, Optional[str]] = {}
  offenders = []
  for op in operations:
    kind = (op.type, *(t.dtype for t in (*op.inputs, *op.outputs)))
    if kind not in reasons:
      reasons[kind] = _reason(op, kind[1:])
    reason = reasons[kind]
    if op.type in _REFUSED:
      attribute, refused = _REFUSED[op.type]
      if op.get_attr(attribute) == refused:
        reason = f"XLA's kernel refuses {attribute}={refused}"
    if reason:
      offenders.append(Offender(op.type, op.name, reason))
  return offenders


def without_shape(operations: Sequence[tf.Operation]) -> List[Offender]:
  """Operations with outputs whose shapes are not known, one for each."""
  return [
    Offender(op.type, op.name, 'no static shape')
    for op in operations
    for tensor in op.outputs
    if not tensor.shape.is_fully_defined() and not _may_be_unknown(tensor)
  ]


def _may_be_unknown(tensor: tf.Tensor) -> bool:
  if tensor.op.type == 'ZerosLike':
    # The gradient of what nothing uses.
    tensor = tensor.op.inputs[0]
  return (tensor.op.type, tensor.value_index) in _WITHOUT_SHAPE


@functools.lru_cache(maxsize=None)
def _load_kernels() -> None:
  """TensorFlow registers the kernels of XLA when something is compiled."""
  with tf.Graph().as_default(), tf.Session() as session:
    (one,) = tf.xla.experimental.compile(lambda: [tf.ones([]) * 1.0])
    session.run(one)


def _reason(op: tf.Operation, dtypes: Sequence[tf.DType]) -> Optional[str]:
  """Why an operation cannot be compiled; None if it can."""
  wrong = sorted({t.base_dtype.name for t in dtypes if t in _NOT_ON_A_TPU})
  if wrong:
    return 'a TPU does not compute in ' + ', '.join(wrong)
  if op.type in WITHOUT_KERNEL:
    return None
  known = [
    kernel
    for kernel in kernels.get_registered_kernels_for_op(op.type).kernel
    if kernel.device_type == _COMPILER
  ]
  if not known:
    return 'XLA has no kernel for it'
  lacking = [_lacking_types(kernel, op) for kernel in known]
  if all(lacking):
    return 'XLA has no kernel for it in ' + ', '.join(sorted(lacking[0]))
  return None


def _lacking_types(kernel: Any, op: tf.Operation) -> set:
  """Names of the types of an operation that a kernel does not take."""
  lacking = set()
  for constraint in kernel.constraint:
    dtypes = op.get_attr(constraint.name)
    if not isinstance(dtypes, (list, tuple)):
      dtypes = [dtypes]
    allowed = constraint.allowed_values.list.type
    lacking.update(t.name for t in dtypes if t.as_datatype_enum not in allowed)
  return lacking


def _summaries(mode: str, offenders: Sequence[Offender]) -> List[str]:
  """One message for all offenders with the same type and reason."""
  alike: Dict[Tuple[str, str], List[str]] = {}
  for op_type, name, reason in offenders:
    layer = name.rpartition('/')[0]
    alike.setdefault((op_type, reason), []).append(
      "'{}'{}".format(name, layer and f" (layer '{layer}')")
    )
  return [
    '{} in {}, operation {}{}: {}. Change what makes this layer.'.format(
      op_type,
      mode,
      names[0],
      f' and {len(names) - 1} more' if names[1:] else '',
      reason,
    )
    for (op_type, reason), names in alike.items()
  ]
