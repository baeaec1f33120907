"""Losses of instance masks, normalised by the cells of the objects."""

import tensorflow.compat.v1 as tf


def squared_error(
  masks: tf.Tensor,
  targets: tf.Tensor,
  is_valid: tf.Tensor,
  num_cells: tf.Tensor,
) -> tf.Tensor:
  """Half of the sum of squared errors, divided by `num_cells`.

  Args:
    masks: [batch, n, size, size].
    targets: float32 [batch, n, size, size], 0 or 1.
    is_valid: int [batch, n], 0 for those that do not count.
    num_cells: scalar, sum of the targets; without any cell the loss is 0.
  """
  errors = tf.square(targets - tf.cast(masks, tf.float32))
  return 0.5 * _valid_sum(errors, is_valid, num_cells)


def cross_entropy(
  logits: tf.Tensor,
  targets: tf.Tensor,
  is_valid: tf.Tensor,
  num_cells: tf.Tensor,
) -> tf.Tensor:
  """Sum of the sigmoid cross entropy, divided; arguments as above."""
  entropy = tf.nn.sigmoid_cross_entropy_with_logits(
    labels=targets, logits=tf.cast(logits, tf.float32)
  )
  return _valid_sum(entropy, is_valid, num_cells)


def _valid_sum(
  values: tf.Tensor, is_valid: tf.Tensor, num_cells: tf.Tensor
) -> tf.Tensor:
  by_object = tf.reduce_sum(values, axis=[2, 3])
  total = tf.reduce_sum(by_object * tf.cast(is_valid, tf.float32))
  return tf.div_no_nan(total, num_cells)
