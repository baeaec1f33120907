"""Activations computed twice instead of kept.

Chen et al., arXiv:1604.06174. A stretch of the network, such as a residual
block, ends in a node whose gradient copies the stretch, from its inputs on, and
differentiates the copy. So only the inputs live from the forward to the
backward pass. All else stays as it is: variables and their names, since the
stretch itself is built as ever, and the updates of batch norm, since they hang
on the original. Ops with a state are not copied; random numbers are kept and
not drawn again.

Nothing that rewrites the graph may take a copy for its original. TensorFlow's
own optimizers merge ops of equal inputs; those of a copy differ by what they
wait for. XLA knows no such waiting and merges them.
"""

import weakref
from typing import Dict, List, Sequence, Set

import tensorflow.compat.v1 as tf

_GRADIENT = 'Recomputed'

# For each graph and device the names of the ops that the last copy's gradients
# came from: an op would keep its graph alive.
_last_gradients: 'weakref.WeakKeyDictionary[tf.Graph, Dict[str, List[str]]]' = (
  weakref.WeakKeyDictionary()
)


class Recompute:
  """Marks the ends of stretches.

  Args:
    enabled: if false, nothing changes.
  """

  def __init__(self, enabled: bool = False):
    self._enabled = enabled

  def __call__(
    self, outputs: tf.Tensor, inputs: Sequence[tf.Tensor], is_training: bool
  ) -> tf.Tensor:
    """Returns `outputs`; what is between `inputs` and it will not be kept.

    Args:
      outputs: float tensor.
      inputs: where the stretch begins; they are kept.
      is_training: nothing is done if false.
    """
    if not self._enabled or not is_training:
      return outputs
    kept = _kept(outputs, [tf.convert_to_tensor(t) for t in inputs])
    graph = tf.get_default_graph()
    with graph.gradient_override_map({'IdentityN': _GRADIENT}):
      return tf.identity_n([outputs, *kept])[0]


def _between(outputs: tf.Tensor, inputs: Sequence[tf.Tensor]) -> List:
  """Ops to copy, in order: those that `outputs` needs and `inputs` reach."""
  begins = set(inputs)
  is_between: Dict[tf.Operation, bool] = {}
  ordered = []
  stack = [outputs.op]
  while stack:
    op = stack[-1]
    if op in is_between:
      stack.pop()
      continue
    before = [t.op for t in op.inputs if t not in begins]
    missing = [o for o in before if o not in is_between]
    if missing:
      stack.extend(missing)
      continue
    stack.pop()
    reached = len(before) < len(op.inputs) or any(map(is_between.get, before))
    is_between[op] = reached and not op.op_def.is_stateful
    if is_between[op]:
      ordered.append(op)
  return ordered


def _kept(outputs: tf.Tensor, inputs: Sequence[tf.Tensor]) -> List[tf.Tensor]:
  """Tensors, weights among them, that the ops between start from."""
  between = _between(outputs, inputs)
  inside: Set[tf.Operation] = set(between)
  begins = set(inputs)
  kept = []
  for op in between:
    for tensor in op.inputs:
      comes_in = tensor in begins or tensor.op not in inside
      if comes_in and tensor.op.type != 'Const':
        kept.append(tensor)
  # Without repetition, in order.
  return list(dict.fromkeys(kept))


@tf.RegisterGradient(_GRADIENT)
def _gradient(op, gradient, *unused):
  """Gradients of what was kept, by a copy that waits for `gradient`."""
  del unused
  outputs, *kept = op.inputs
  with tf.device(op.device):
    # One stretch at a time, or the copies would be alive together. TensorFlow
    # asks for the gradients in an order in which they can be computed.
    last = _last_gradients.setdefault(op.graph, {})
    before = map(op.graph.get_operation_by_name, last.get(op.device, []))
    with tf.control_dependencies([gradient, *before]):
      fresh = [tf.identity(tensor) for tensor in kept]
    copy = _copy(outputs, kept, fresh)
    gradients = tf.gradients(
      copy,
      [tensor for tensor in fresh if tensor.dtype.is_floating],
      gradient,
      gate_gradients=True,
    )
  last[op.device] = [g.op.name for g in gradients if g is not None]
  remaining = iter(gradients)
  return [None] + [
    next(remaining) if tensor.dtype.is_floating else None for tensor in kept
  ]


def _copy(
  outputs: tf.Tensor, kept: Sequence[tf.Tensor], fresh: Sequence[tf.Tensor]
) -> tf.Tensor:
  """`outputs` as it is computed from `fresh` in place of `kept`."""
  copies = dict(zip(kept, fresh))
  for op in _between(outputs, kept):
    # Also which gradient an op has stands in its attributes.
    attributes = {k: v for k, v in op.node_def.attr.items() if k != '_class'}
    copy = op.graph.create_op(
      op.type,
      [copies.get(tensor, tensor) for tensor in op.inputs],
      [tensor.dtype for tensor in op.outputs],
      name=op.name.rsplit('/', 1)[-1],
      attrs=attributes,
      op_def=op.op_def,
    )
    for old, new in zip(op.outputs, copy.outputs):
      new.set_shape(old.shape)
      copies[old] = new
  return copies[outputs]
