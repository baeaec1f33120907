"""Windows of enlarged images, of which no more is computed than is seen."""

from typing import Sequence

import tensorflow.compat.v1 as tf

from ops import preprocess_ops

# An image scaled to less than this many times its pixels is resized as a whole
# in less time.
_LEAST_GROWTH = 2


def resize_crop(
  image: tf.Tensor,
  plan: preprocess_ops.ResizePlan,
  desired_size: Sequence[int],
) -> tf.Tensor:
  """As `preprocess_ops.resize_crop`, faster for large scales."""
  num_pixels = tf.reduce_prod(tf.shape(image)[:2])
  return tf.cond(
    tf.reduce_prod(plan.scaled_size) > _LEAST_GROWTH * num_pixels,
    lambda: _enlarged_window(image, plan, desired_size),
    lambda: preprocess_ops.resize_crop(image, plan, desired_size),
  )


def _enlarged_window(
  image: tf.Tensor,
  plan: preprocess_ops.ResizePlan,
  desired_size: Sequence[int],
) -> tf.Tensor:
  """Only the rows that are seen are widened."""
  num_rows, scaled_width = tf.shape(image)[0], plan.scaled_size[1]
  height, width = tf.unstack(tf.minimum(plan.scaled_size, desired_size))
  top, left = tf.unstack(tf.cast(plan.offset, tf.int32))
  # Between which rows of the image those of the window lie, as TF 1 has it.
  step = tf.cast(num_rows / plan.scaled_size[0], tf.float32)
  position = tf.cast(tf.range(top, top + height), tf.float32) * step
  above = tf.cast(position, tf.int32)
  first, below = above[0], tf.minimum(above + 1, num_rows - 1)
  rows = tf.cast(image[first : below[-1] + 1], tf.float32)
  count = tf.shape(rows)[0]
  wide = tf.image.resize_bilinear(rows[tf.newaxis], [count, scaled_width])
  # Of a matrix, whole rows are copied at once.
  wide = tf.reshape(wide, [count, scaled_width * 3])
  wide = tf.slice(wide, [0, left * 3], [count, width * 3])
  # Each row of the window is the sum of two of these.
  row = tf.range(height)
  indices = tf.stack([row, above - first, row, below - first], axis=1)
  share = position - tf.floor(position)
  window = tf.raw_ops.SparseTensorDenseMatMul(
    a_indices=tf.cast(tf.reshape(indices, [-1, 2]), tf.int64),
    a_values=tf.reshape(tf.stack([1.0 - share, share], axis=1), [-1]),
    a_shape=tf.cast([height, count], tf.int64),
    b=wide,
  )
  return tf.reshape(window, [height, width, 3])
