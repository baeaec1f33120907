"""Tensors of the forward pass that wait in memory for the backward pass.

Those that an operation of the backward pass reads. XLA fuses chains of
element-wise operations: a tensor that only such operations and reductions read
is never written, and the backward pass computes it again from what the chain
started with. So of a convolution, its batch norm and its activation the
convolution's output is kept, for the batch norm, and the activation's, for the
next convolution, but nothing between.
"""

import re
from typing import Dict, List, Sequence, Set

import tensorflow.compat.v1 as tf

from modeling.training import accumulation

_GRADIENT_SCOPE = re.compile(f'({accumulation.SCOPE}/)?' + r'gradients(_\d+)?/')

# The same memory under another shape or name.
_VIEWS = frozenset(
  [
    *('ExpandDims', 'Identity', 'IdentityN', 'PreventGradient', 'Reshape'),
    *('Squeeze', 'StopGradient'),
  ]
)
_ELEMENTWISE = frozenset(
  [
    *('Abs', 'Add', 'AddN', 'AddV2', 'BiasAdd', 'BroadcastTo', 'Cast', 'Div'),
    *('DivNoNan', 'Equal', 'Exp', 'Expm1', 'Fill', 'Floor', 'Greater'),
    *('GreaterEqual', 'IsFinite', 'Less', 'LessEqual', 'Log', 'Log1p'),
    *('LogicalAnd', 'LogicalNot', 'LogicalOr', 'Maximum', 'Minimum', 'Mul'),
    *('Neg', 'NotEqual', 'OneHot', 'OnesLike', 'Pow', 'RealDiv', 'Relu'),
    *('Relu6', 'Rsqrt', 'Select', 'SelectV2', 'Sigmoid', 'Sign', 'Softplus'),
    *('Sqrt', 'Square', 'SquaredDifference', 'Sub', 'Tanh', 'ZerosLike'),
    *('ReciprocalGrad', 'Relu6Grad', 'ReluGrad', 'RsqrtGrad', 'SigmoidGrad'),
    *('SoftplusGrad', 'SqrtGrad', 'TanhGrad'),
  ]
)
_REDUCTIONS = frozenset(
  [
    *('BiasAddGrad', 'L2Loss', 'Max', 'Mean', 'Min', 'Prod', 'Sum'),
  ]
)
# What asks for the shape alone, which is known beforehand.
_SHAPE_READERS = frozenset(
  [
    *('BroadcastGradientArgs', 'OnesLike', 'Rank', 'Shape', 'ShapeN', 'Size'),
    'ZerosLike',
  ]
)
_FUSIBLE = _ELEMENTWISE | _REDUCTIONS | _SHAPE_READERS


def find_kept(
  operations: Sequence[tf.Operation], infeed: Sequence[tf.Tensor]
) -> List[tf.Tensor]:
  """Returns the kept tensors of one replica, each once, in order of creation.

  Args:
    operations: of the computation, in the order of their creation.
    infeed: tensors from the host, from which activations come.
  """
  members = set(operations)
  from_images = _forward(members, infeed)
  written: Dict[tf.Tensor, bool] = {}

  def is_written(tensor: tf.Tensor) -> bool:
    """Whether anything but a fused operation reads it."""
    if tensor not in written:
      written[tensor] = any(
        any(is_written(out) for out in op.outputs if _source(out) is tensor)
        if op.type in _VIEWS
        else op.type not in _FUSIBLE
        for op in tensor.consumers()
        if op in members
      )
    return written[tensor]

  kept: Set[tf.Tensor] = set()
  seen: Set[tf.Tensor] = set()
  waiting = [
    tensor
    for op in _used_backward(operations)
    if op.type not in _SHAPE_READERS
    for tensor in op.inputs
  ]
  while waiting:
    tensor = waiting.pop()
    # Weights, which do not come from the images, are counted elsewhere.
    if tensor in seen or tensor not in from_images:
      continue
    seen.add(tensor)
    op = tensor.op
    if op.type in _VIEWS:
      waiting.append(_source(tensor))
    elif op.type in _ELEMENTWISE and not is_written(tensor):
      waiting.extend(op.inputs)
    else:
      kept.add(tensor)
  return [out for op in operations for out in op.outputs if out in kept]


def _is_backward(op: tf.Operation) -> bool:
  """Whether `tf.gradients` made it."""
  return bool(_GRADIENT_SCOPE.match(op.name))


def _used_backward(
  operations: Sequence[tf.Operation],
) -> Set[tf.Operation]:
  """The backward pass without gradients that nothing asks for.

  `tf.gradients` also makes those of factors that no weight leads to.
  """
  found: Set[tf.Operation] = set()
  waiting = [op for op in operations if not _is_backward(op)]
  while waiting:
    for tensor in waiting.pop().inputs:
      if _is_backward(tensor.op) and tensor.op not in found:
        found.add(tensor.op)
        waiting.append(tensor.op)
  return found


def _source(view: tf.Tensor) -> tf.Tensor:
  """What a view looks at."""
  return view.op.inputs[view.value_index]


def _forward(
  members: Set[tf.Operation], infeed: Sequence[tf.Tensor]
) -> Set[tf.Tensor]:
  """Tensors of the forward pass that are computed from the infeed."""
  found: Set[tf.Tensor] = set()
  waiting = list(infeed)
  while waiting:
    for op in waiting.pop().consumers():
      # What only gradients lead to, as the optimizer, is not found either.
      if op in members and not _is_backward(op):
        new = [tensor for tensor in op.outputs if tensor not in found]
        found.update(new)
        waiting.extend(new)
  return found
