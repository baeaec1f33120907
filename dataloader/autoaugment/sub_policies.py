"""Policies made of lists of (operation, probability, level)."""

from typing import Callable, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader.autoaugment import operations, randomness

# (operation, probability, level).
Step = Tuple[str, float, float]
SubPolicy = Sequence[Step]
Policy = Callable[[tf.Tensor, tf.Tensor], Tuple[tf.Tensor, tf.Tensor]]


class _Steps(NamedTuple):
  """Steps to take, as tensors or arrays [..., number of steps].

  Attributes:
    operation: int32, index in a list of names.
    gate: float32, probability that the step is taken.
    probability: float32, for local operations, which are always entered.
    argument: float64, without the random sign.
  """

  operation: tf.Tensor
  gate: tf.Tensor
  probability: tf.Tensor
  argument: tf.Tensor


def random_choice(policy: Sequence[SubPolicy]) -> Policy:
  """Takes the steps of one sub-policy, drawn for each image, in order.

  Args:
    policy: at least one sub-policy, checked by `policy_spec`.
  """
  names = _in_order(
    name
    for sub_policy in policy
    for name, probability, _ in sub_policy
    if probability > 0
  )
  length = max(len(sub_policy) for sub_policy in policy)
  table = [
    _row(names, list(sub_policy) + [None] * (length - len(sub_policy)))
    for sub_policy in policy
  ]
  columns = _Steps(*(np.stack(column) for column in zip(*table)))

  def augment(image, boxes_normalized):
    index = randomness.integer(len(policy))
    steps = _Steps(*(tf.constant(column)[index] for column in columns))
    return _take(steps, length, names, image, boxes_normalized)

  return augment


def random_operations(num_steps: int, level: float) -> Policy:
  """RandAugment (Cubuk et al., arXiv:1909.13719).

  Args:
    num_steps: operations for each image, drawn from all with replacement.
    level: of all operations, from 0 to 10.
  """
  names = _in_order(operations.OPERATIONS)
  arguments = np.array([_argument(name, level) for name in names])

  def augment(image, boxes_normalized):
    chosen = randomness.integer(len(names), [num_steps])
    steps = _Steps(
      chosen,
      tf.ones([num_steps]),
      tf.ones([num_steps]),
      tf.gather(tf.constant(arguments), chosen),
    )
    return _take(steps, num_steps, names, image, boxes_normalized)

  return augment


def _argument(name: str, level: float) -> float:
  argument = operations.OPERATIONS[name].argument
  return 0.0 if argument is None else float(argument.from_level(level))


def _row(names: List[str], steps: Sequence) -> _Steps:
  """One sub-policy; None and what never happens is a step without effect."""
  rows = []
  for step in steps:
    if step is None or step[0] not in names:
      rows.append((0, 0.0, 0.0, 0.0))
      continue
    name, probability, level = step
    rows.append(
      (
        names.index(name),
        # The boxes are drawn inside.
        1.0 if _is_local(name) else probability,
        probability,
        _argument(name, level),
      )
    )
  operation, gate, probability, argument = zip(*rows)
  return _Steps(
    np.int32(operation),
    np.float32(gate),
    np.float32(probability),
    np.float64(argument),
  )


def _take(
  steps: _Steps,
  num_steps: int,
  names: List[str],
  image: tf.Tensor,
  boxes_normalized: tf.Tensor,
) -> Tuple[tf.Tensor, tf.Tensor]:
  """Takes steps in order.

  The graph holds each operation once, whatever the number of sub-policies, and
  runs only those that are drawn.
  """
  if not names:
    return image, boxes_normalized
  image_shape, boxes_shape = image.shape, boxes_normalized.shape

  def take_step(i, image, boxes):
    with randomness.repetition(i):
      image, boxes = _take_step(steps, i, names, image, boxes)
    image.set_shape([None, None, 3])
    boxes.set_shape([None, 4])
    return i + 1, image, boxes

  _, image, boxes = tf.while_loop(
    lambda i, image, boxes: i < num_steps,
    take_step,
    (0, image, boxes_normalized),
    shape_invariants=(
      tf.TensorShape([]),
      tf.TensorShape([None, None, 3]),
      tf.TensorShape([None, 4]),
    ),
    back_prop=False,
  )
  image.set_shape(image_shape)
  boxes.set_shape(boxes_shape)
  return image, boxes


def _take_step(
  steps: _Steps,
  i: tf.Tensor,
  names: List[str],
  image: tf.Tensor,
  boxes: tf.Tensor,
) -> Tuple[tf.Tensor, tf.Tensor]:
  # Local operations come last and share a branch, with one loop over boxes.
  plain = [name for name in names if not _is_local(name)]
  local = names[len(plain) :]
  operation, argument = steps.operation[i], steps.argument[i]

  def branch(name):
    return lambda: operations.apply(name, image, boxes, argument)

  def local_branch():
    changed = operations.apply_local(
      local,
      operation - len(plain),
      image,
      boxes,
      steps.probability[i],
      argument,
    )
    return changed, tf.identity(boxes)

  branches = [branch(name) for name in plain]
  if local:
    branches.append(local_branch)
  branches.append(lambda: (tf.identity(image), tf.identity(boxes)))
  index = tf.where(
    randomness.happens(steps.gate[i]),
    tf.minimum(operation, len(plain)),
    len(branches) - 1,
  )
  # For this executor, which has no conditional edges, a branch stays a function
  # that is called if it is drawn; else every image passes all of their nodes.
  with tf.experimental.function_executor_type('SINGLE_THREADED_EXECUTOR'):
    return tf.switch_case(index, branches)


def _is_local(name: str) -> bool:
  return operations.OPERATIONS[name].is_local


def _in_order(names: Iterable[str]) -> List[str]:
  """Without repetition, local operations last, as `_take` wants them."""
  return sorted(set(names), key=lambda name: (_is_local(name), name))
