"""Depthwise convolution with the variable names of the checkpoints."""

from typing import Any, Callable, Optional

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions


class DepthwiseConv2D(tf.layers.Layer):
  """One filter per channel, without bias.

  The class name gives the automatic layer name, `depthwise_conv2d[_k]`.

  Args:
    kernel_size: side of the kernel.
    strides: stride of both axes.
    fixed_padding: pad as `convolutions.conv2d_fixed_padding`, or else SAME.
    kernel_initializer: Glorot uniform if None.
    **kwargs: of `tf.layers.Layer`.
  """

  def __init__(
    self,
    kernel_size: int,
    strides: int = 1,
    fixed_padding: bool = True,
    kernel_initializer: Optional[Callable[..., Any]] = None,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._kernel_size = kernel_size
    self._strides = strides
    self._fixed_padding = fixed_padding
    self._initializer = kernel_initializer or tf.glorot_uniform_initializer()

  def build(self, input_shape):
    self._kernel = self.add_weight(
      'depthwise_kernel',
      [self._kernel_size, self._kernel_size, int(input_shape[-1]), 1],
      initializer=self._initializer,
    )
    super().build(input_shape)

  def call(self, inputs):
    padding = 'SAME'
    if self._fixed_padding and self._strides > 1:
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
