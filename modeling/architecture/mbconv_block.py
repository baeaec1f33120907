"""Inverted bottleneck with squeeze-and-excitation.

Sandler et al., arXiv:1801.04381; Hu et al., arXiv:1709.01507. Layers are
numbered in the order of creation, so the order below is part of the checkpoint
format.
"""

from typing import Any, Callable, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  activations,
  convolutions,
  depthwise_conv,
  layer_kit,
  regularization,
)


class Layout(NamedTuple):
  """How the blocks of a network are padded, initialised and named.

  Attributes:
    kernel_size: of the depthwise convolution.
    fixed_padding: of the depthwise convolution, see `DepthwiseConv2D`.
    kernel_initializer: of the 1x1 convolutions.
    depthwise_initializer: Glorot uniform if None.
    squeeze_scope: variable scope of squeeze-and-excitation in that of the
      block; None: the block's own.
  """

  kernel_size: int = 3
  fixed_padding: bool = True
  kernel_initializer: Callable[..., Any] = tf.variance_scaling_initializer()
  depthwise_initializer: Optional[Callable[..., Any]] = None
  squeeze_scope: Optional[str] = None


_DEFAULT_LAYOUT = Layout()


def mbconv_block(
  inputs: tf.Tensor,
  filters: int,
  strides: int,
  expand_ratio: int,
  se_ratio: Optional[float],
  layers: layer_kit.LayerKit,
  is_training: bool,
  drop_connect_rate: Optional[float] = None,
  layout: Layout = _DEFAULT_LAYOUT,
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
    layout: padding, initial weights, names.

  Returns:
    [batch, ceil(height / strides), ceil(width / strides), filters].
  """
  norm, dropblock = layers.norm, layers.dropblock
  channels = inputs.shape.as_list()[-1]
  branch = inputs
  if expand_ratio != 1:
    branch = _pointwise(branch, channels * expand_ratio, layout)
    branch = dropblock(norm(branch, is_training), is_training)
  depthwise = depthwise_conv.DepthwiseConv2D(
    layout.kernel_size,
    strides,
    layout.fixed_padding,
    layout.depthwise_initializer,
  )
  branch = depthwise(branch)
  branch = dropblock(norm(branch, is_training), is_training)
  if se_ratio:
    squeezed = max(1, int(channels * se_ratio))
    if layout.squeeze_scope:
      with tf.variable_scope(layout.squeeze_scope):
        branch = _squeeze_excite(branch, squeezed, layout)
    else:
      branch = _squeeze_excite(branch, squeezed, layout)
  branch = _pointwise(branch, filters, layout)
  branch = dropblock(norm(branch, is_training, activate=False), is_training)
  if channels == filters and strides == 1:
    branch = regularization.drop_connect(branch, is_training, drop_connect_rate)
    branch += inputs
  return layers.recompute(branch, [inputs], is_training)


def _squeeze_excite(
  inputs: tf.Tensor, squeezed: int, layout: Layout
) -> tf.Tensor:
  """Multiplies channels by weights in (0, 1) that their means determine."""
  channels = inputs.shape.as_list()[-1]
  weights = tf.reduce_mean(inputs, [1, 2], keepdims=True)
  weights = _pointwise(weights, squeezed, layout, use_bias=True)
  # Swish whatever the model's activation: published weights need it.
  weights = activations.swish(weights)
  weights = _pointwise(weights, channels, layout, use_bias=True)
  return inputs * tf.sigmoid(weights)


def _pointwise(
  inputs: tf.Tensor, filters: int, layout: Layout, use_bias: bool = False
) -> tf.Tensor:
  return convolutions.conv2d(
    inputs,
    filters=filters,
    kernel_size=1,
    kernel_initializer=layout.kernel_initializer,
    use_bias=use_bias,
  )
