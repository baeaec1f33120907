"""Inverted bottleneck with squeeze-and-excitation.

Sandler et al., arXiv:1801.04381; Hu et al., arXiv:1709.01507. Layers are
numbered in the order of creation, so the order below is part of the checkpoint
format.
"""

from typing import Optional

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  activations,
  convolutions,
  depthwise_conv,
  layer_kit,
  regularization,
)

_KERNEL_SIZE = 3


def mbconv_block(
  inputs: tf.Tensor,
  filters: int,
  strides: int,
  expand_ratio: int,
  se_ratio: Optional[float],
  layers: layer_kit.LayerKit,
  is_training: bool,
  drop_connect_rate: Optional[float] = None,
) -> tf.Tensor:
  """Expand, filter by depth, reweight channels, project.

  Args:
    inputs: [batch, height, width, channels].
    filters: channels of the output, which has no activation.
    strides: of the depthwise convolution. With stride 1 and equal channels
      the input is added to the output.
    expand_ratio: width of the inner maps over that of `inputs`.
    se_ratio: width of the squeezed vector over that of `inputs`, at most 1;
      None or 0: no squeeze-and-excitation.
    layers: batch norm, activation, DropBlock.
    is_training: mode of batch norm and regularisation.
    drop_connect_rate: probability to drop the branch of one example.

  Returns:
    [batch, ceil(height / strides), ceil(width / strides), filters].
  """
  norm, dropblock = layers.norm, layers.dropblock
  channels = inputs.shape.as_list()[-1]
  branch = inputs
  if expand_ratio != 1:
    branch = convolutions.conv2d_fixed_padding(
      branch, channels * expand_ratio, 1
    )
    branch = dropblock(norm(branch, is_training), is_training)
  branch = depthwise_conv.depthwise_conv2d_fixed_padding(
    branch, _KERNEL_SIZE, strides
  )
  branch = dropblock(norm(branch, is_training), is_training)
  if se_ratio:
    branch = _squeeze_excite(branch, max(1, int(channels * se_ratio)))
  branch = convolutions.conv2d_fixed_padding(branch, filters, 1)
  branch = dropblock(norm(branch, is_training, activate=False), is_training)
  if channels == filters and strides == 1:
    branch = regularization.drop_connect(branch, is_training, drop_connect_rate)
    branch += inputs
  return layers.recompute(branch, [inputs], is_training)


def _squeeze_excite(inputs: tf.Tensor, squeezed: int) -> tf.Tensor:
  """Multiplies channels by weights in (0, 1) that their means determine."""
  weights = tf.reduce_mean(inputs, [1, 2], keepdims=True)
  # Swish whatever the model's activation: published weights need it.
  weights = activations.swish(_dense(weights, squeezed))
  weights = tf.sigmoid(_dense(weights, inputs.shape.as_list()[-1]))
  return inputs * weights


def _dense(inputs: tf.Tensor, filters: int) -> tf.Tensor:
  return convolutions.conv2d(
    inputs,
    filters=filters,
    kernel_size=1,
    kernel_initializer=tf.variance_scaling_initializer(),
  )
