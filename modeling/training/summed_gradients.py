"""Gradients that replicas have summed up: their norm, and clipping."""

from typing import Any, List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf
from tensorflow.python.distribute import values as distributed_values

from modeling.training import optimizers, replicas


class MeasuringOptimizer(tf.train.Optimizer):
  """Measures and clips what was summed up, then lets another apply it.

  Clipped before the sum, the parts of n replicas could add up to n times the
  norm, and training would depend on their number. On a TPU it gets sums, and
  stands within a `CrossShardOptimizer`; under a distribution strategy it waits
  for them.

  Args:
    optimizer: gets the gradients.
    clip_norm: largest global norm; 0 for any.

  Attributes:
    norm: scalar, that of the sums before clipping, once they are applied; of
      several optimizers of a strategy that of the first replica has it.
  """

  def __init__(self, optimizer: tf.train.Optimizer, clip_norm: float = 0.0):
    super().__init__(use_locking=False, name=optimizer.get_name())
    self._optimizer = optimizer
    self._clip_norm = clip_norm
    self.norm: Optional[tf.Tensor] = None

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    if replicas.is_replicated():
      return super().apply_gradients(grads_and_vars, global_step, name)
    gradients, variables = zip(*grads_and_vars)
    gradients, self.norm = optimizers.clip_by_global_norm(
      gradients, self._clip_norm
    )
    return self._optimizer.apply_gradients(
      list(zip(gradients, variables)), global_step, name
    )

  def _distributed_apply(
    self, distribution, grads_and_vars, global_step=None, name=None
  ):
    strategy = _ClippingStrategy(distribution, self._clip_norm)
    applied = self._optimizer._distributed_apply(
      strategy, grads_and_vars, global_step, name
    )
    self.norm = strategy.norm
    return applied


class _ClippingStrategy:
  """What an optimizer asks of a strategy; sums come back clipped.

  Attributes:
    norm: of the sums on the first device, before clipping.
  """

  def __init__(self, strategy: tf.distribute.Strategy, clip_norm: float):
    self.extended = self
    self.group = strategy.group
    self._local_results = strategy.experimental_local_results
    self._wrapped = strategy.extended
    self._clip_norm = clip_norm
    self.norm: Optional[tf.Tensor] = None

  def __getattr__(self, name: str) -> Any:
    return getattr(self._wrapped, name)

  def batch_reduce_to(
    self,
    reduce_op: tf.distribute.ReduceOp,
    value_destination_pairs: Sequence[Tuple[Any, Any]],
  ) -> List[Any]:
    sums = self._wrapped.batch_reduce_to(reduce_op, value_destination_pairs)
    _, variable = value_destination_pairs[0]
    clipped, norms = [], []
    # Each device has all sums, and so finds the same norm.
    for device, gradients in zip(
      variable.devices, zip(*map(self._local_results, sums))
    ):
      with tf.device(device):
        values, norm = optimizers.clip_by_global_norm(
          gradients, self._clip_norm
        )
      clipped.append(values)
      norms.append(norm)
    self.norm = norms[0]
    if not self._clip_norm:
      return sums
    return distributed_values.regroup(
      variable.device_map, clipped, distributed_values.Mirrored
    )
