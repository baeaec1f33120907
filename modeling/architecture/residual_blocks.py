"""Residual and bottleneck blocks (He et al., arXiv:1512.03385).

Layers are numbered in the order of creation, so the order of the lines below
is part of the checkpoint format: the shortcut's projection comes first.
"""

from typing import Callable, Optional

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit, regularization

BlockFn = Callable[..., tf.Tensor]


def residual_block(
  inputs: tf.Tensor,
  filters: int,
  strides: int,
  use_projection: bool,
  layers: layer_kit.LayerKit,
  is_training: bool,
  drop_connect_rate: Optional[float] = None,
) -> tf.Tensor:
  """Two 3x3 convolutions beside a shortcut.

  Args:
    inputs: [batch, height, width, channels].
    filters: channels of the output.
    strides: of the first convolution and of the projection.
    use_projection: whether the shortcut is a 1x1 convolution.
    layers: batch norm, activation, DropBlock.
    is_training: mode of batch norm and regularisation.
    drop_connect_rate: probability to drop the branch of one example.

  Returns:
    [batch, ceil(height / strides), ceil(width / strides), filters].
  """
  norm, dropblock = layers.norm, layers.dropblock
  shortcut = inputs
  if use_projection:
    shortcut = convolutions.conv2d_fixed_padding(inputs, filters, 1, strides)
    shortcut = norm(shortcut, is_training, activate=False)
  shortcut = dropblock(shortcut, is_training)

  branch = convolutions.conv2d_fixed_padding(inputs, filters, 3, strides)
  branch = dropblock(norm(branch, is_training), is_training)
  branch = convolutions.conv2d_fixed_padding(branch, filters, 3)
  branch = dropblock(norm(branch, is_training, activate=False), is_training)
  branch = regularization.drop_connect(branch, is_training, drop_connect_rate)
  outputs = layers.activation(branch + shortcut)
  return layers.recompute(outputs, [inputs], is_training)


def bottleneck_block(
  inputs: tf.Tensor,
  filters: int,
  strides: int,
  use_projection: bool,
  layers: layer_kit.LayerKit,
  is_training: bool,
  drop_connect_rate: Optional[float] = None,
) -> tf.Tensor:
  """1x1, 3x3 and 1x1 convolutions beside a shortcut; the 3x3 has the stride.

  Arguments as `residual_block`, but the output has 4 * filters channels.
  """
  norm, dropblock = layers.norm, layers.dropblock
  shortcut = inputs
  if use_projection:
    shortcut = convolutions.conv2d_fixed_padding(
      inputs, 4 * filters, 1, strides
    )
    shortcut = norm(shortcut, is_training, activate=False)
  shortcut = dropblock(shortcut, is_training)

  branch = convolutions.conv2d_fixed_padding(inputs, filters, 1)
  branch = dropblock(norm(branch, is_training), is_training)
  branch = convolutions.conv2d_fixed_padding(branch, filters, 3, strides)
  branch = dropblock(norm(branch, is_training), is_training)
  branch = convolutions.conv2d_fixed_padding(branch, 4 * filters, 1)
  branch = dropblock(norm(branch, is_training, activate=False), is_training)
  branch = regularization.drop_connect(branch, is_training, drop_connect_rate)
  outputs = layers.activation(branch + shortcut)
  return layers.recompute(outputs, [inputs], is_training)


def block_group(
  inputs: tf.Tensor,
  block: BlockFn,
  filters: int,
  strides: int,
  use_projection: bool,
  repeats: int,
  layers: layer_kit.LayerKit,
  is_training: bool,
  drop_connect_rate: Optional[float],
  name: str,
) -> tf.Tensor:
  """`repeats` blocks; stride and projection belong to the first.

  Returns:
    The output of the last block, in a tensor called `name`.
  """
  outputs = inputs
  for index in range(repeats):
    outputs = block(
      outputs,
      filters=filters,
      strides=strides if index == 0 else 1,
      use_projection=use_projection and index == 0,
      layers=layers,
      is_training=is_training,
      drop_connect_rate=drop_connect_rate,
    )
  return tf.identity(outputs, name)
