"""Sums over the parts of a batch, computed in turn in the memory of one."""

from typing import Any, Callable, List, Optional

import tensorflow.compat.v1 as tf

from utils import errors

# Of the operations that compute the parts.
SCOPE = 'accumulation'


def sum_over_parts(
  compute: Callable[[Any], Any],
  batch: Any,
  num_parts: int,
  outline: Callable[[Any], Any],
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
    outline: takes a part, too, and returns a like nest, of variables or tensors
      with the shapes of those of `compute`. It is called in a graph that is
      thrown away: a loop has to know what it adds up before its body is built.

  Returns:
    The nest of the sums, None where `compute` returned None.

  Raises:
    ConfigError: n is not a multiple of `num_parts`.
  """
  parts = tf.nest.map_structure(lambda t: _split(t, num_parts), batch)
  zeros = tf.nest.map_structure(
    lambda spec: tf.zeros(spec.shape, spec.dtype), _specs(outline, parts)
  )
  updates = tf.get_collection_ref(tf.GraphKeys.UPDATE_OPS)
  built = []

  def body(index: tf.Tensor, sums: Any) -> List[Any]:
    num_outside = len(updates)
    # A reference to a variable is read once, before the loop: what an
    # iteration assigns, the next would not see.
    with tf.variable_scope(tf.get_variable_scope(), use_resource=True):
      terms = compute(
        tf.nest.map_structure(lambda t: tf.gather(t, index), parts)
      )
    built.append(terms)
    # Nothing outside may wait for an op of the body.
    own_updates = updates[num_outside:]
    del updates[num_outside:]
    with tf.control_dependencies(own_updates):
      following = index + 1
    # Each is added as soon as it is there, and its memory is free again.
    return [following, tf.nest.map_structure(_add, sums, terms)]

  _, sums = tf.while_loop(
    lambda index, unused_sums: index < num_parts,
    body,
    [tf.constant(0), zeros],
    parallel_iterations=1,
    back_prop=False,
    name=SCOPE,
  )
  return tf.nest.map_structure(
    lambda total, term: None if term is None else total, sums, built[0]
  )


def _add(total: tf.Tensor, term: Optional[tf.Tensor]) -> tf.Tensor:
  return total if term is None else total + term


def _specs(outline: Callable[[Any], Any], parts: Any) -> Any:
  """Shapes and dtypes of what `outline` gives."""
  with tf.Graph().as_default():
    terms = outline(
      tf.nest.map_structure(
        lambda t: tf.placeholder(t.dtype, t.shape[1:]), parts
      )
    )
    return tf.nest.map_structure(
      lambda t: tf.TensorSpec(t.shape, t.dtype.base_dtype), terms
    )


def _split(tensor: tf.Tensor, num_parts: int) -> tf.Tensor:
  """[n, ...] to [num_parts, n / num_parts, ...]."""
  size, *rest = tensor.shape.as_list()
  if size % num_parts:
    raise errors.ConfigError(
      f'train.gradient_accumulation_steps: {num_parts} does not divide the '
      f'{size} images of a batch on one device. Use a divisor of {size}, or '
      'another batch size.'
    )
  return tf.reshape(tensor, [num_parts, size // num_parts, *rest])
