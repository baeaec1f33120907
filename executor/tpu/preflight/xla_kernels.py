"""Which operations of a TPU computation XLA cannot compile."""

import functools
from typing import (
  Any,
  Callable,
  Dict,
  Iterator,
  List,
  NamedTuple,
  Optional,
  Tuple,
)

import tensorflow.compat.v1 as tf
from tensorflow.python.framework import kernels, op_def_registry

from executor.tpu.preflight import op_names

# XLA's compiler for a CPU, which shares the kernels of the one for a TPU.
_COMPILER = 'XLA_CPU_JIT'

_LOOP = 'loops and conditions become functions before they are compiled'
_TPU_ONLY = 'its kernel comes with the TPU alone'
# What a TPU runs although no kernel of `_COMPILER` is there, and why.
WITHOUT_KERNEL = {
  'Enter': _LOOP,
  'Exit': _LOOP,
  'LoopCond': _LOOP,
  'Merge': _LOOP,
  'NextIteration': _LOOP,
  'Switch': _LOOP,
  'CrossReplicaSum': _TPU_ONLY,
  'InfeedDequeueTuple': _TPU_ONLY,
  'OutfeedEnqueueTuple': _TPU_ONLY,
  'TPUReplicateMetadata': 'it describes the computation and is taken out of it',
}

# XLA's compiler for a CPU has them, that for a TPU has not.
_NOT_ON_A_TPU = frozenset([tf.float16, tf.float64, tf.complex128, tf.string])

# A kernel that is there may refuse a value of a bool attribute.
_REFUSED = {'ResizeNearestNeighbor': ('align_corners', False)}

_GetTypes = Callable[[str], List[tf.DType]]


class Offender(NamedTuple):
  """An operation that XLA cannot compile.

  Attributes:
    op_type: as 'Where'.
    op_name: in the graph; in a function 'caller > name in the function'.
    scope: of the layer, '' at the top.
    reason: what is missing.
  """

  op_type: str
  op_name: str
  scope: str
  reason: str


def find_offenders(operations: List[tf.Operation]) -> List[Offender]:
  """Looks for operations without a kernel, or without one for their types.

  Functions that operations call are looked into.

  Args:
    operations: of one graph, see `tpu_graph.TpuGraph`.
  """
  _load_kernels()
  # Thousands of operations are of a hundred kinds.
  reasons: Dict[Any, Optional[str]] = {}
  offenders = []
  for op in operations:
    dtypes = [t.dtype for t in (*op.inputs, *op.outputs)]
    kind = (op.type, *dtypes)
    if kind not in reasons:
      reasons[kind] = _reason(
        op.type, functools.partial(_types_of_op, op), dtypes, op.graph
      )
    reason = reasons[kind]
    if op.type in _REFUSED:
      reason = reason or _refusal(op.node_def)
    if reason:
      offenders.append(_offender(op.type, op.name, op.name, reason))
    if op.graph._is_function(op.type) or _function_attributes(op.type):
      for name in _called_functions(op.node_def, op.graph):
        offenders.extend(_in_function(op.graph, name, op.name, op.name, ()))
  return offenders


def _in_function(
  graph: tf.Graph,
  function: str,
  caller: str,
  path: str,
  callers: Tuple[str, ...],
) -> Iterator[Offender]:
  """Offenders in the body of a function and of those that it calls."""
  if function in callers:
    return
  for node in graph._get_function(function).definition.node_def:
    types_of = functools.partial(_types_of_node, node)
    dtypes = [
      dtype for name in node.attr for dtype in _types_of_node(node, name)
    ]
    reason = _reason(node.op, types_of, dtypes, graph) or _refusal(node)
    name = '{} > {}'.format(path, node.name)
    if reason:
      yield _offender(node.op, name, caller, reason)
    for called in _called_functions(node, graph):
      yield from _in_function(graph, called, caller, name, (*callers, function))


def _offender(op_type: str, name: str, place: str, reason: str) -> Offender:
  return Offender(
    op_type=op_type,
    op_name=name,
    scope=op_names.layer_scope(place),
    reason=reason,
  )


@functools.lru_cache(maxsize=None)
def _load_kernels() -> None:
  """TensorFlow registers the kernels of XLA when something is compiled."""
  with tf.Graph().as_default(), tf.Session() as session:
    (one,) = tf.xla.experimental.compile(lambda: [tf.ones([]) * 1.0])
    session.run(one)


@functools.lru_cache(maxsize=None)
def _compiler_kernels(op_type: str) -> List[Any]:
  return [
    kernel
    for kernel in kernels.get_registered_kernels_for_op(op_type).kernel
    if kernel.device_type == _COMPILER
  ]


def _reason(
  op_type: str, types_of: _GetTypes, dtypes: List[tf.DType], graph: tf.Graph
) -> Optional[str]:
  """Why an operation cannot be compiled; None if it can."""
  wrong = sorted({t.base_dtype.name for t in dtypes if t in _NOT_ON_A_TPU})
  if wrong:
    return 'a TPU does not compute in ' + ', '.join(wrong)
  if op_type in WITHOUT_KERNEL or graph._is_function(op_type):
    return None
  known = _compiler_kernels(op_type)
  if not known:
    return 'XLA has no kernel for it'
  lacking = [_lacking_types(kernel, types_of) for kernel in known]
  if all(lacking):
    return 'XLA has no kernel for it in ' + ', '.join(sorted(lacking[0]))
  return None


def _refusal(node: tf.NodeDef) -> Optional[str]:
  if node.op not in _REFUSED:
    return None
  name, refused = _REFUSED[node.op]
  if node.attr[name].b != refused:
    return None
  return "XLA's kernel refuses {}={}".format(name, refused)


def _lacking_types(kernel: Any, types_of: _GetTypes) -> set:
  """Names of the types of an operation that a kernel does not take."""
  return {
    dtype.name
    for constraint in kernel.constraint
    for dtype in types_of(constraint.name)
    if dtype.as_datatype_enum not in constraint.allowed_values.list.type
  }


def _types_of_op(op: tf.Operation, name: str) -> List[tf.DType]:
  value = op.get_attr(name)
  return list(value) if isinstance(value, (list, tuple)) else [value]


def _types_of_node(node: tf.NodeDef, name: str) -> List[tf.DType]:
  value = node.attr[name]
  if value.HasField('type'):
    return [tf.as_dtype(value.type)]
  return [tf.as_dtype(t) for t in value.list.type]


def _called_functions(node: tf.NodeDef, graph: tf.Graph) -> List[str]:
  if graph._is_function(node.op):
    return [node.op]
  names = []
  for attribute in _function_attributes(node.op):
    value = node.attr[attribute]
    names.append(value.func.name)
    names.extend(function.name for function in value.list.func)
  return [name for name in names if name]


@functools.lru_cache(maxsize=None)
def _function_attributes(op_type: str) -> List[str]:
  definition = op_def_registry.get_registered_ops().get(op_type)
  return [
    attribute.name
    for attribute in (definition.attr if definition else ())
    if attribute.type in ('func', 'list(func)')
  ]
