"""Sums over the parts of a batch, computed in turn in the memory of one."""

from typing import Any, Callable

import tensorflow.compat.v1 as tf
from tensorflow.python.ops import control_flow_ops

from utils import errors

# Of all operations that compute a part.
SCOPE = 'accumulation'


def sum_over_parts(
  compute: Callable[[Any], Any], batch: Any, num_parts: int
) -> Any:
  """Adds up what `compute` returns for equal parts of a batch.

  The graph of `compute` is built once, as the body of a loop whose iterations
  do not overlap. Its update ops run in every iteration. Variables that it
  creates are resource variables outside of the loop, with the names that they
  have without it.

  Args:
    compute: takes a part, returns a nest of float tensors of static shape, or
      None.
    batch: nest of tensors [n, ...], n static; a part has [n / num_parts, ...].
    num_parts: number of parts.

  Returns:
    The nest of the sums, None where `compute` returned None.

  Raises:
    ConfigError: n is not a multiple of `num_parts`.
  """
  parts = tf.nest.map_structure(lambda t: _split(t, num_parts), batch)
  sums = []

  def body(index):
    graph = tf.get_default_graph()
    loop = graph._get_control_flow_context()
    updates = tf.get_collection_ref(tf.GraphKeys.UPDATE_OPS)
    num_outside = len(updates)
    # A reference to a variable is read once, before the loop: what an
    # iteration assigns, the next would not see.
    with tf.variable_scope(tf.get_variable_scope(), use_resource=True):
      terms = compute(
        tf.nest.map_structure(lambda t: tf.gather(t, index), parts)
      )
    sums.append(
      tf.nest.map_structure(
        lambda t: None if t is None else _sum_over_iterations(loop, t), terms
      )
    )
    # Nothing outside may wait for an op of the body.
    own_updates = updates[num_outside:]
    del updates[num_outside:]
    with tf.control_dependencies(own_updates):
      return index + 1

  tf.while_loop(
    lambda index: index < num_parts,
    body,
    [tf.constant(0)],
    parallel_iterations=1,
    back_prop=False,
    name=SCOPE,
  )
  return sums[0]


def check_divides(num_parts: int, num_images: int, whose: str) -> None:
  """Raises ConfigError if the images of one device make no equal parts.

  Args:
    num_parts: train.gradient_accumulation_steps.
    num_images: of a batch, on one device.
    whose: ends the sentence about the images.
  """
  if num_images % num_parts:
    raise errors.ConfigError(
      'train.gradient_accumulation_steps: {} does not divide the {} images '
      '{}. Use a divisor of {}, or another batch size.'.format(
        num_parts, num_images, whose, num_images
      )
    )


def _split(tensor: tf.Tensor, num_parts: int) -> tf.Tensor:
  """[n, ...] to [num_parts, n / num_parts, ...]."""
  size, *rest = tensor.shape.as_list()
  check_divides(num_parts, size, 'of a batch on one device')
  return tf.reshape(tensor, [num_parts, size // num_parts, *rest])


def _sum_over_iterations(
  loop: control_flow_ops.WhileContext, term: tf.Tensor
) -> tf.Tensor:
  """Sum over all iterations, outside of the loop whose body has `term`.

  `tf.while_loop` asks for the loop's variables before its body is built, but
  which variables a network has, and so which gradients, is known afterwards.
  TensorFlow adds variables to a loop in this way for the gradients of loops.
  """
  loop.Exit()
  zeros = tf.zeros(term.shape, term.dtype)
  loop.Enter()
  loop.AddName(zeros.name)
  enter = control_flow_ops._Enter(
    zeros, loop.name, is_constant=False, parallel_iterations=1
  )
  loop.loop_enters.append(enter)
  merge = control_flow_ops.merge([enter, enter])[0]
  before_exit, before_body = control_flow_ops.switch(merge, loop.pivot)
  following = control_flow_ops._NextIteration(before_body + term)
  merge.op._update_input(1, following)
  result = control_flow_ops.exit(before_exit)
  loop.loop_exits.append(result)
  loop.ExitResult([result])
  return result
