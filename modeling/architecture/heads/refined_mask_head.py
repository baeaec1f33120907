"""Heads that refine masks, coarse then fine (Kuo et al., arXiv:1904.03239)."""

import math

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit

# Every cell starts with this probability.
_PRIOR = 0.01


class RefinedMaskHead:
  """From features of boxes and a mask to the logits of a better one.

  Args:
    scope: variable scope.
    num_masks: number of classes, or 1 for one mask that stands for all.
    layers: batch norm and activation.
    num_convs: convolutions before the prediction.
    upsample_factor: cells of the result in one of the features.
    subtracts_instance: whether the features' mean over the cells that are
      above 0.5 in the mask is taken off them.
  """

  def __init__(
    self,
    scope: str,
    num_masks: int,
    layers: layer_kit.LayerKit,
    num_convs: int = 4,
    upsample_factor: int = 1,
    subtracts_instance: bool = False,
  ):
    self._scope = scope
    self._num_masks = num_masks
    self._layers = layers
    self._num_convs = num_convs
    self._upsample_factor = upsample_factor
    self._subtracts_instance = subtracts_instance

  def __call__(
    self,
    features: tf.Tensor,
    masks: tf.Tensor,
    classes: tf.Tensor,
    is_training: bool,
  ) -> tf.Tensor:
    """Returns logits float32 [batch, n, factor * size, factor * size].

    Args:
      features: [batch, n, size, size, filters], all but batch static.
      masks: float32 [batch, n, size, size], in [0, 1].
      classes: int [batch, n], whose masks are wanted.
      is_training: mode of batch norm.
    """
    inputs = [features, masks]
    num_boxes, size, _, filters = features.shape.as_list()[1:]
    masks = tf.cast(masks, features.dtype)[..., tf.newaxis]
    with tf.variable_scope(self._scope):
      if self._subtracts_instance:
        features -= _mean_inside(features, masks)
      features += tf.layers.dense(masks, filters)
      features = tf.reshape(features, [-1, size, size, filters])
      for i in range(self._num_convs):
        features = convolutions.conv2d(
          features,
          filters=filters,
          kernel_size=3,
          kernel_initializer=tf.random_normal_initializer(stddev=0.01),
          name=f'class-{i}',
        )
        features = self._layers.norm(
          features, is_training, name=f'class-{i}-bn'
        )
      logits = self._predict(features, classes)
    side = size * self._upsample_factor
    logits = tf.reshape(logits, [-1, num_boxes, side, side])
    return self._layers.recompute(logits, inputs, is_training)

  def _predict(self, features: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Transposed convolution, and the 1x1 convolution of each box's class.

    With nothing between them they are one product. Taken with the kernel of the
    class alone, it costs a small part of what upsampled features of all classes
    would, in time and memory.

    Args:
      features: [boxes, size, size, filters].
      classes: int [batch, n], of the boxes.

    Returns:
      [boxes, factor * size, factor * size, 1].
    """
    _, size, _, filters = features.shape.as_list()
    factor, dtype = self._upsample_factor, features.dtype
    if factor > 1:
      up_kernel = tf.get_variable(
        'conv2d_transpose/kernel',
        [factor, factor, filters, filters],
        dtype,
        tf.glorot_uniform_initializer(),
      )
      up_bias = tf.get_variable(
        'conv2d_transpose/bias', [filters], dtype, tf.zeros_initializer()
      )
    kernel = tf.get_variable(
      'class-predict/kernel',
      [1, 1, filters, self._num_masks],
      dtype,
      tf.random_normal_initializer(stddev=0.01),
    )
    bias = tf.get_variable(
      'class-predict/bias',
      [self._num_masks],
      dtype,
      tf.constant_initializer(-math.log((1 - _PRIOR) / _PRIOR)),
    )
    rows = classes if self._num_masks > 1 else tf.zeros_like(classes)
    one_hot = tf.one_hot(tf.reshape(rows, [-1]), self._num_masks, dtype=dtype)
    kernel = tf.matmul(one_hot, kernel[0, 0], transpose_b=True)
    bias = tf.matmul(one_hot, bias[:, tf.newaxis])
    if factor > 1:
      bias += tf.matmul(kernel, up_bias[:, tf.newaxis])
      # [filters after, cells of one, filters before].
      up_kernel = tf.transpose(up_kernel, [2, 0, 1, 3])
      up_kernel = tf.reshape(up_kernel, [filters, -1])
      kernel = tf.matmul(kernel, up_kernel)
    kernel = tf.reshape(kernel, [-1, factor**2, filters])
    pixels = tf.reshape(features, [-1, size**2, filters])
    logits = tf.matmul(pixels, kernel, transpose_b=True) + bias[:, tf.newaxis]
    logits = tf.reshape(logits, [-1, size, size, factor, factor])
    return tf.transpose(logits, [0, 1, 3, 2, 4])


def _mean_inside(features: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
  """[batch, n, 1, 1, filters]; 0 where no cell is inside."""
  # bfloat16 counts no further than 256.
  is_inside = tf.cast(masks > 0.5, tf.float32)
  inside = tf.cast(features, tf.float32) * is_inside
  total = tf.reduce_sum(inside, axis=[2, 3], keepdims=True)
  count = tf.reduce_sum(is_inside, axis=[2, 3], keepdims=True)
  return tf.cast(total / tf.maximum(count, 1.0), features.dtype)
