"""Random numbers of a training step.

In a graph with a seed they follow from that, the operation that takes them, the
step and the images, so that a step that is repeated draws the same again, and
replicas and the parts of a batch, whose images differ, draw others.
"""

import contextlib
import threading
import zlib
from typing import Iterator

import tensorflow.compat.v1 as tf


class _Scope(threading.local):
  """What this thread, which builds the graph of a replica, draws for."""

  fingerprint = 0


_scope = _Scope()


@contextlib.contextmanager
def for_images(images: tf.Tensor) -> Iterator[None]:
  """Draws of the graph that is built inside belong to these images.

  Args:
    images: of any shape and float type.
  """
  if tf.get_default_graph().seed is None:
    yield
    return
  previous = _scope.fingerprint
  # A sum of integers does not depend on the order.
  bits = tf.bitcast(tf.cast(images, tf.float32), tf.int32)
  _scope.fingerprint = tf.reduce_sum(bits)
  try:
    yield
  finally:
    _scope.fingerprint = previous


def uniform(shape: tf.Tensor) -> tf.Tensor:
  """float32 of `shape`, uniform in [0, 1); without a seed chance decides."""
  graph = tf.get_default_graph()
  if graph.seed is None:
    return tf.random_uniform(shape)
  with tf.name_scope('draw') as name:
    # Names of operations are the same in every run, their numbers may not be.
    own = zlib.crc32(f'{graph.seed} {name}'.encode()) >> 1
    step = tf.cast(tf.train.get_or_create_global_step(), tf.int32)
    return tf.random.stateless_uniform(
      shape, tf.stack([own + step, _scope.fingerprint])
    )
