"""Warnings with a count, from inside a graph.

They go to stderr: also on the hosts of a TPU, where no Python runs beside the
graph. They come when the count has doubled, so as not to fill the screen.
"""

import math
import sys
from typing import Any

import tensorflow.compat.v1 as tf


def warn_when_doubled(
  before: tf.Tensor, now: tf.Tensor, *message: Any
) -> tf.Operation:
  """Prints a message once a count has reached a further power of two.

  Args:
    before: the count before, scalar.
    now: the count, scalar.
    *message: texts and scalars.
  """

  def bits(count):
    return tf.ceil(tf.log(tf.cast(count, tf.float64) + 1.0) / math.log(2.0))

  return tf.cond(
    bits(now) > bits(before),
    lambda: tf.print('WARNING:', *message, output_stream=sys.stderr),
    tf.no_op,
  )
