"""Sums over the parts of a batch, computed in turn in the memory of one."""

from typing import Any, Callable, List

import tensorflow.compat.v1 as tf

from utils import errors

# Of the operations that compute the parts after the first one.
SCOPE = 'accumulation'
_FIRST_SCOPE = 'first_part'


def sum_over_parts(
  compute: Callable[[Any], Any], batch: Any, num_parts: int
) -> Any:
  """Adds up what `compute` returns for equal parts of a batch.

  The graph of `compute` is built twice: for the first part, which tells what
  there is to add up, and as the body of a loop over the others, whose
  iterations do not overlap. Its update ops run for every part. Variables that
  it creates are resource variables with the names that they have without it.

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
  scope = tf.get_variable_scope()
  updates = tf.get_collection_ref(tf.GraphKeys.UPDATE_OPS)

  def terms_of(index: Any, reuse: bool) -> Any:
    # A reference to a variable is read once, before the loop: what an
    # iteration assigns, the next would not see.
    with tf.variable_scope(scope, reuse=reuse or None, use_resource=True):
      part = tf.nest.map_structure(lambda t: tf.gather(t, index), parts)
      return compute(part)

  def body(index: tf.Tensor, *sums: tf.Tensor) -> List[tf.Tensor]:
    num_outside = len(updates)
    terms = _tensors(terms_of(index, reuse=True))
    # Nothing outside may wait for an op of the body.
    own_updates = updates[num_outside:]
    del updates[num_outside:]
    with tf.control_dependencies(own_updates):
      return [index + 1, *map(tf.add, sums, terms)]

  num_before = len(updates)
  with tf.name_scope(_FIRST_SCOPE):
    first = terms_of(0, reuse=False)
  # The memory of the first part is free when the second begins.
  with tf.control_dependencies([*updates[num_before:], *_tensors(first)]):
    start = tf.identity(1)
  _, *sums = tf.while_loop(
    lambda index, *unused_sums: index < num_parts,
    body,
    [start, *_tensors(first)],
    parallel_iterations=1,
    back_prop=False,
    name=SCOPE,
  )
  remaining = iter(sums)
  return tf.nest.map_structure(
    lambda term: None if term is None else next(remaining), first
  )


def _tensors(terms: Any) -> List[tf.Tensor]:
  return [term for term in tf.nest.flatten(terms) if term is not None]


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
