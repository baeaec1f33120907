"""Seeds of what a model draws in a training step."""

from typing import Callable, Optional

import tensorflow.compat.v1 as tf


def make_seed(seed: Optional[int]) -> Optional[Callable[[], tf.Tensor]]:
  """Seeds int32 [2]: others at each step, the same when a run is repeated.

  Args:
    seed: of the run; None: there are no seeds, chance decides.
  """
  if seed is None:
    return None
  return lambda: tf.stack(
    [seed, tf.cast(tf.train.get_or_create_global_step(), tf.int32)]
  )
