"""Atrous spatial pyramid pooling (Chen et al., arXiv:1706.05587)."""

import tensorflow.compat.v1 as tf

from modeling.architecture import batch_norm, convolutions

_FILTERS = 256
_DILATIONS = (6, 12, 18)


def aspp(features: tf.Tensor, is_training: bool) -> tf.Tensor:
  """Looks at a map in several widths at once, up to the whole image.

  Variables lie in the scope `aspp`. Batch norm has settings of its own,
  momentum 0.997 and epsilon 1e-4, and ReLU, as published weights need it.

  Args:
    features: [batch, height, width, channels], all but batch static.
    is_training: mode of batch norm.

  Returns:
    [batch, height, width, 256].
  """
  norm = batch_norm.BatchNormActivation()

  def layer(inputs, kernel_size=1, dilation=1):
    outputs = convolutions.conv2d_fixed_padding(
      inputs, _FILTERS, kernel_size, dilation=dilation
    )
    return norm(outputs, is_training)

  with tf.variable_scope('aspp'):
    mean = tf.reduce_mean(features, axis=[1, 2], keepdims=True)
    height, width = features.shape.as_list()[1:3]
    branches = [layer(tf.tile(mean, [1, height, width, 1])), layer(features)]
    branches += [layer(features, 3, dilation) for dilation in _DILATIONS]
    return layer(tf.concat(branches, axis=-1))
