"""Convolutions and resampling with the padding of the published models."""

from typing import Any, Callable, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from modeling.training import replicas


def pad_for_stride(inputs: tf.Tensor, kernel_size: int) -> tf.Tensor:
  """Pads height and width by kernel_size - 1 in all, the odd one behind."""
  before = (kernel_size - 1) // 2
  after = kernel_size - 1 - before
  return tf.pad(inputs, [[0, 0], [before, after], [before, after], [0, 0]])


def conv2d_fixed_padding(
  inputs: tf.Tensor,
  filters: int,
  kernel_size: int,
  strides: int = 1,
  dilation: int = 1,
) -> tf.Tensor:
  """Convolution without bias, whose padding does not depend on input size.

  Args:
    inputs: [batch, height, width, channels].
    filters: number of output channels.
    kernel_size: side of the kernel.
    strides: stride of both axes.
    dilation: distance of the kernel's taps; above 1 without a stride.

  Returns:
    [batch, ceil(height / strides), ceil(width / strides), filters]. The layer
    takes the next free name `conv2d[_k]` of the variable scope.
  """
  if strides > 1:
    inputs = pad_for_stride(inputs, kernel_size)
  return tf.layers.conv2d(
    inputs,
    filters=filters,
    kernel_size=kernel_size,
    strides=strides,
    padding='SAME' if strides == 1 else 'VALID',
    dilation_rate=dilation,
    use_bias=False,
    kernel_initializer=tf.variance_scaling_initializer(),
  )


def conv2d(
  inputs: tf.Tensor,
  filters: int,
  kernel_size: int,
  strides: int = 1,
  use_separable_conv: bool = False,
  kernel_initializer: Optional[Callable[..., Any]] = None,
  bias_initializer: Optional[Callable[..., Any]] = None,
  use_bias: bool = True,
  name: Optional[str] = None,
) -> tf.Tensor:
  """Convolution with SAME padding, with bias as necks and heads use it.

  Args:
    inputs: [batch, height, width, channels].
    filters: number of output channels.
    kernel_size: side of the kernel.
    strides: stride of both axes.
    use_separable_conv: depthwise then pointwise, without anything between.
    kernel_initializer: of the dense kernel; Glorot uniform if None. Separable
      kernels are always Glorot uniform.
    bias_initializer: zeros if None.
    use_bias: separable convolutions always have one.
    name: layer name, else the next free one of the variable scope.
  """
  bias_initializer = bias_initializer or tf.zeros_initializer()
  if use_separable_conv:
    return tf.layers.separable_conv2d(
      inputs,
      filters=filters,
      kernel_size=kernel_size,
      strides=strides,
      padding='SAME',
      bias_initializer=bias_initializer,
      name=name,
    )
  return tf.layers.conv2d(
    inputs,
    filters=filters,
    kernel_size=kernel_size,
    strides=strides,
    padding='SAME',
    use_bias=use_bias,
    kernel_initializer=kernel_initializer,
    bias_initializer=bias_initializer,
    name=name,
  )


def nearest_upsampling(inputs: tf.Tensor, scale: int) -> tf.Tensor:
  """Repeats each row and column `scale` times.

  Args:
    inputs: [batch, height, width, channels], channels static.
    scale: integer factor.

  Returns:
    [batch, height * scale, width * scale, channels].
  """
  if scale == 1:
    return inputs
  _, height, width, channels = inputs.shape.as_list()
  shape = tf.shape(inputs)
  rows = shape[1] if height is None else height
  columns = shape[2] if width is None else width
  # Repeating along the last axis copies long rows, forward and backward, and
  # no tensor has more than the four dimensions that TFLite knows.
  outputs = tf.concat([inputs] * scale, axis=3)
  outputs = tf.reshape(outputs, [-1, rows, columns * scale * channels])
  outputs = tf.concat([outputs] * scale, axis=2)
  return tf.reshape(outputs, [-1, rows * scale, columns * scale, channels])


def native_resize(inputs: tf.Tensor, size: Tuple[int, int]) -> tf.Tensor:
  """Nearest neighbour of any sizes: source = floor(index * old / new).

  By TensorFlow's op, but on a TPU, where XLA refuses it.

  Args:
    inputs: [batch, height, width, channels], all but batch static.
    size: (height, width) of the result; if it is that of `inputs`, these are
      returned.

  Returns:
    [batch, *size, channels].
  """
  old_size = inputs.shape.as_list()[1:3]
  if old_size == list(size):
    return inputs
  if replicas.is_on_tpu():
    return gathered_resize(inputs, size)
  outputs = tf.image.resize_nearest_neighbor(tf.cast(inputs, tf.float32), size)
  return tf.cast(outputs, inputs.dtype)


def gathered_resize(inputs: tf.Tensor, size: Tuple[int, int]) -> tf.Tensor:
  """As `native_resize`, of operations that XLA compiles."""
  outputs = inputs
  for axis, (old, new) in enumerate(zip(inputs.shape.as_list()[1:3], size), 1):
    # In float32, as the kernels of TensorFlow do.
    scale = np.float32(old) / np.float32(new)
    source = np.floor(np.arange(new, dtype=np.float32) * scale)
    source = np.minimum(source.astype(np.int32), old - 1)
    outputs = tf.gather(outputs, source, axis=axis)
  return outputs
