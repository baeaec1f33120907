"""Random choice of the anchors that a region proposal network learns from."""

from typing import Optional

import tensorflow.compat.v1 as tf

POSITIVE, NEGATIVE, UNUSED = 1, 0, -1


class AnchorSampler:
  """Draws anchors as Faster R-CNN does (Ren et al., arXiv:1506.01497).

  Args:
    batch_size_per_im: number of anchors of an image; fewer if it has not
      enough.
    fg_fraction: share of them that may be positive.
  """

  def __init__(self, batch_size_per_im: int, fg_fraction: float):
    self._count = batch_size_per_im
    self._most_positives = int(fg_fraction * batch_size_per_im)

  def __call__(
    self, is_positive: tf.Tensor, is_negative: tf.Tensor, seeds: tf.Tensor
  ) -> tf.Tensor:
    """Draws the anchors of each image.

    Args:
      is_positive: bool [batch, n], anchors that may be drawn as positive.
      is_negative: bool [batch, n].
      seeds: int32 [batch, 2], which alone decides what is drawn.

    Returns:
      int32 [batch, n] of `POSITIVE`, `NEGATIVE` and `UNUSED`.
    """
    size = is_positive.shape.as_list()[1]
    keys = tf.map_fn(
      lambda seed: tf.random.stateless_uniform([size], seed),
      seeds,
      dtype=tf.float32,
    )
    positive = _largest(keys, is_positive, self._most_positives)
    num_positives = tf.math.count_nonzero(
      positive, axis=1, keepdims=True, dtype=tf.int32
    )
    negative = _largest(
      keys, is_negative, self._count, self._count - num_positives
    )
    unused = tf.fill(tf.shape(keys), UNUSED)
    return tf.where(
      positive,
      tf.fill(tf.shape(keys), POSITIVE),
      tf.where(negative, tf.fill(tf.shape(keys), NEGATIVE), unused),
    )


def _largest(
  keys: tf.Tensor,
  is_candidate: tf.Tensor,
  most: int,
  count: Optional[tf.Tensor] = None,
) -> tf.Tensor:
  """The candidates of the largest keys of each row, bool [batch, n].

  Args:
    keys: float32 [batch, n] in [0, 1).
    is_candidate: bool [batch, n].
    most: number of them in a row, at most.
    count: number of them by row, int32 [batch, 1], if that may be smaller.
  """
  batch_size, size = keys.shape.as_list()
  most = min(most, size)
  found, columns = tf.nn.top_k(
    tf.where(is_candidate, keys, -tf.ones_like(keys)), most
  )
  is_drawn = found >= 0.0
  if count is not None:
    is_drawn &= tf.range(most) < count
  indices = columns + size * tf.range(batch_size)[:, tf.newaxis]
  drawn = tf.boolean_mask(indices, is_drawn)[:, tf.newaxis]
  marks = tf.scatter_nd(drawn, tf.ones_like(drawn[:, 0]), [batch_size * size])
  return tf.reshape(marks > 0, [batch_size, size])
