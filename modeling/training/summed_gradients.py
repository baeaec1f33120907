"""Gradient clipping over replicas."""

from typing import Any, List, Sequence, Tuple

import tensorflow.compat.v1 as tf
from tensorflow.python.distribute import values as distributed_values

from modeling.training import optimizers


class ClippingOptimizer(tf.train.Optimizer):
  """Clips what a distribution strategy summed up, then lets another apply it.

  Clipped before the sum, the parts of n replicas could add up to n times the
  norm, and training would depend on their number.

  Args:
    optimizer: gets the clipped gradients.
    clip_norm: largest global norm, above 0.
  """

  def __init__(self, optimizer: tf.train.Optimizer, clip_norm: float):
    super().__init__(use_locking=False, name=optimizer.get_name())
    self._optimizer = optimizer
    self._clip_norm = clip_norm

  def _distributed_apply(
    self, distribution, grads_and_vars, global_step=None, name=None
  ):
    return self._optimizer._distributed_apply(
      _ClippingStrategy(distribution, self._clip_norm),
      grads_and_vars,
      global_step,
      name,
    )


class _ClippingStrategy:
  """What an optimizer asks of a strategy; sums come back clipped."""

  def __init__(self, strategy: tf.distribute.Strategy, clip_norm: float):
    self.extended = self
    self.group = strategy.group
    self._local_results = strategy.experimental_local_results
    self._wrapped = strategy.extended
    self._clip_norm = clip_norm

  def __getattr__(self, name: str) -> Any:
    return getattr(self._wrapped, name)

  def batch_reduce_to(
    self,
    reduce_op: tf.distribute.ReduceOp,
    value_destination_pairs: Sequence[Tuple[Any, Any]],
  ) -> List[Any]:
    sums = self._wrapped.batch_reduce_to(reduce_op, value_destination_pairs)
    _, variable = value_destination_pairs[0]
    clipped = []
    # Each device has all sums, and so finds the same norm.
    for device, gradients in zip(
      variable.devices, zip(*map(self._local_results, sums))
    ):
      with tf.device(device):
        clipped.append(
          optimizers.clip_by_global_norm(gradients, self._clip_norm)
        )
    return distributed_values.regroup(
      variable.device_map, clipped, distributed_values.Mirrored
    )
