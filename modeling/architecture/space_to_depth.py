"""Strided convolution over images in space-to-depth form.

On a TPU a 3-channel image wastes most of the matrix unit, which is why the
input pipeline can move blocks of pixels into channels (MLPerf's ResNet). The
variable is the kernel of the ordinary convolution, so checkpoints interchange.
"""

import tensorflow.compat.v1 as tf


def conv2d_space_to_depth(
  inputs: tf.Tensor,
  filters: int,
  kernel_size: int,
  strides: int,
  block_size: int,
) -> tf.Tensor:
  """What `conv2d_fixed_padding` gives for the image before the transform.

  Args:
    inputs: [batch, height / block_size, width / block_size,
      channels * block_size^2], channels ordered by row in the block, column
      in the block, colour.
    filters: number of output channels.
    kernel_size: side of the kernel of the ordinary convolution, odd.
    strides: of the ordinary convolution; equals `block_size`.
    block_size: side of a block in pixels.

  Returns:
    [batch, height / strides, width / strides, filters].
  """
  batch, height, width, depth = inputs.shape.as_list()
  channels = depth // block_size**2
  layer = tf.layers.Conv2D(
    filters=filters,
    kernel_size=kernel_size,
    strides=strides,
    use_bias=False,
    kernel_initializer=tf.variance_scaling_initializer(),
  )
  # Built for the shape of the image, and never called: only its kernel is
  # used, under the name that the ordinary stem would give it.
  layer.build([batch, height * block_size, width * block_size, channels])
  kernel = _transform_kernel(layer.kernel, block_size)
  reach = (kernel_size - 1) // 2
  before, after = (reach + 1) // block_size, reach // block_size
  inputs = tf.pad(inputs, [[0, 0], [before, after], [before, after], [0, 0]])
  return tf.nn.conv2d(
    inputs, tf.cast(kernel, inputs.dtype), strides=1, padding='VALID'
  )


def _transform_kernel(kernel: tf.Tensor, block_size: int) -> tf.Tensor:
  """[k, k, in, out] to [k', k', in * block_size^2, out]."""
  size, _, in_channels, out_channels = kernel.shape.as_list()
  padding = -size % block_size
  kernel = tf.pad(kernel, [[padding, 0], [padding, 0], [0, 0], [0, 0]])
  blocks = (size + padding) // block_size
  kernel = tf.reshape(
    kernel,
    [blocks, block_size, blocks, block_size, in_channels, out_channels],
  )
  kernel = tf.transpose(kernel, [0, 2, 1, 3, 4, 5])
  return tf.reshape(
    kernel, [blocks, blocks, in_channels * block_size**2, out_channels]
  )
