"""Depthwise convolution with the variable names of the checkpoints."""

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions


class DepthwiseConv2D(tf.layers.Layer):
  """One filter per channel, without bias.

  The class name gives the automatic layer name, `depthwise_conv2d[_k]`.

  Args:
    kernel_size: side of the kernel.
    strides: stride of both axes.
    **kwargs: of `tf.layers.Layer`.
  """

  def __init__(self, kernel_size: int, strides: int = 1, **kwargs):
    super().__init__(**kwargs)
    self._kernel_size = kernel_size
    self._strides = strides

  def build(self, input_shape):
    self._kernel = self.add_weight(
      'depthwise_kernel',
      [self._kernel_size, self._kernel_size, int(input_shape[-1]), 1],
      initializer=tf.glorot_uniform_initializer(),
    )
    super().build(input_shape)

  def call(self, inputs):
    padding = 'SAME'
    if self._strides > 1:
      inputs = convolutions.pad_for_stride(inputs, self._kernel_size)
      padding = 'VALID'
    return tf.nn.depthwise_conv2d(
      inputs,
      self._kernel,
      strides=[1, self._strides, self._strides, 1],
      padding=padding,
    )


def depthwise_conv2d_fixed_padding(
  inputs: tf.Tensor, kernel_size: int, strides: int = 1
) -> tf.Tensor:
  """Depthwise convolution, padded as `layers.conv2d_fixed_padding`.

  Args:
    inputs: [batch, height, width, channels].
    kernel_size: side of the kernel.
    strides: stride of both axes.

  Returns:
    [batch, ceil(height / strides), ceil(width / strides), channels].
  """
  return DepthwiseConv2D(kernel_size, strides)(inputs)
