"""EfficientNet (Tan and Le, arXiv:1905.11946)."""

import functools
import math
from typing import Any, Dict, List, NamedTuple

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  batch_norm,
  convolutions,
  layer_kit,
  mbconv_block,
  registries,
  regularization,
)

# What the width and the depth of B0 are multiplied by.
_SIZES = {
  'b0': (1.0, 1.0),
  'b1': (1.0, 1.1),
  'b2': (1.1, 1.2),
  'b3': (1.2, 1.4),
  'b4': (1.4, 1.8),
  'b5': (1.6, 2.2),
  'b6': (1.8, 2.6),
  'b7': (2.0, 3.1),
  'b8': (2.2, 3.6),
  'l2': (4.3, 5.3),
}


class Group(NamedTuple):
  """Blocks of one output width; the first has the stride."""

  kernel_size: int
  strides: int
  expand_ratio: int
  filters: int
  repeats: int


_B0_GROUPS = (
  Group(3, 1, 1, 16, 1),
  Group(3, 2, 6, 24, 2),
  Group(5, 2, 6, 40, 2),
  Group(3, 2, 6, 80, 3),
  Group(5, 1, 6, 112, 3),
  Group(5, 2, 6, 192, 4),
  Group(3, 1, 6, 320, 1),
)
_STEM_FILTERS = 32
_HEAD_FILTERS = 1280
_HEAD_CLASSES = 1000
_SE_RATIO = 0.25
_LAST_DROP_CONNECT_RATE = 0.2
_FIRST_LEVEL = 2
# The published weights were trained with these, whatever the model around the
# backbone has.
_MOMENTUM, _EPSILON, _ACTIVATION = 0.99, 1e-3, 'swish'
_WIDTH_MULTIPLE = 8
# Standard deviation sqrt(2 / (kernel area * last axis of the kernel)).
_initializer = tf.variance_scaling_initializer(
  2.0, 'fan_out', 'untruncated_normal'
)


def scaled_filters(filters: int, width: float) -> int:
  """`filters * width` as a multiple of 8, at most a tenth below it."""
  scaled = filters * width
  nearest = int(scaled + _WIDTH_MULTIPLE / 2) // _WIDTH_MULTIPLE
  rounded = max(_WIDTH_MULTIPLE, nearest * _WIDTH_MULTIPLE)
  return rounded + _WIDTH_MULTIPLE if rounded < 0.9 * scaled else rounded


def scaled_groups(width: float, depth: float) -> List[Group]:
  """The groups of B0 with more filters and more repeats."""
  return [
    group._replace(
      filters=scaled_filters(group.filters, width),
      repeats=math.ceil(depth * group.repeats),
    )
    for group in _B0_GROUPS
  ]


class EfficientNet:
  """Image to the feature maps of levels 2 to 5.

  Args:
    scope: variable scope of the network.
    width, depth: what filters and repeats of B0 are multiplied by.
    use_sync_bn: whether moments are shared by all replicas.
    layers: its recomputation; batch norm, activation, drop-connect are fixed.
  """

  def __init__(
    self,
    scope: str,
    width: float,
    depth: float,
    use_sync_bn: bool,
    layers: layer_kit.LayerKit,
  ):
    self.scope = scope
    self._width = width
    self._groups = scaled_groups(width, depth)
    self._layers = layers._replace(
      norm=batch_norm.BatchNormActivation(
        momentum=_MOMENTUM,
        epsilon=_EPSILON,
        use_sync_bn=use_sync_bn,
        activation=_ACTIVATION,
        layer_name='tpu_batch_normalization',
      ),
      dropblock=regularization.DropBlock(),
    )

  def __call__(
    self, images: tf.Tensor, is_training: bool
  ) -> Dict[int, tf.Tensor]:
    """Returns {level: [batch, height / 2^level, width / 2^level, channels]}.

    Args:
      images: [batch, height, width, 3], normalised.
      is_training: mode of batch norm and drop-connect.
    """
    with tf.variable_scope(self.scope):
      with tf.variable_scope('stem'):
        features = self._conv_norm(images, _STEM_FILTERS, 3, 2, is_training)
        features = self._layers.recompute(features, [images], is_training)
      outputs = {}
      level, index = 1, 0
      for group in self._groups:
        if group.strides > 1:
          level += 1
        for repeat in range(group.repeats):
          strides = 1 if repeat else group.strides
          features = self._block(features, group, strides, index, is_training)
          index += 1
        outputs[level] = features
      self._unused_head(features, is_training)
      return {k: v for k, v in outputs.items() if k >= _FIRST_LEVEL}

  def _conv_norm(
    self,
    inputs: tf.Tensor,
    filters: int,
    kernel_size: int,
    strides: int,
    is_training: bool,
  ) -> tf.Tensor:
    outputs = convolutions.conv2d(
      inputs,
      filters=scaled_filters(filters, self._width),
      kernel_size=kernel_size,
      strides=strides,
      kernel_initializer=_initializer,
      use_bias=False,
    )
    return self._layers.norm(outputs, is_training)

  def _block(
    self,
    inputs: tf.Tensor,
    group: Group,
    strides: int,
    index: int,
    is_training: bool,
  ) -> tf.Tensor:
    num_blocks = sum(group.repeats for group in self._groups)
    with tf.variable_scope(f'blocks_{index}'):
      return mbconv_block.mbconv_block(
        inputs,
        filters=group.filters,
        strides=strides,
        expand_ratio=group.expand_ratio,
        se_ratio=_SE_RATIO,
        layers=self._layers,
        is_training=is_training,
        drop_connect_rate=_LAST_DROP_CONNECT_RATE * index / num_blocks,
        layout=mbconv_block.Layout(
          kernel_size=group.kernel_size,
          fixed_padding=False,
          kernel_initializer=_initializer,
          depthwise_initializer=_initializer,
          squeeze_scope='se',
        ),
      )

  def _unused_head(self, features: tf.Tensor, is_training: bool) -> None:
    """The ImageNet classifier, which is part of every checkpoint.

    Without its dropout, since nothing reads what it computes.
    """
    with tf.variable_scope('head'):
      features = self._conv_norm(features, _HEAD_FILTERS, 1, 1, is_training)
      tf.layers.dense(
        tf.reduce_mean(features, [1, 2]),
        _HEAD_CLASSES,
        # Within 1 / sqrt(classes).
        kernel_initializer=tf.variance_scaling_initializer(
          1 / 3, 'fan_out', 'uniform'
        ),
      )


def _from_params(
  name: str, width: float, depth: float, params: Any, layers: layer_kit.LayerKit
) -> EfficientNet:
  use_sync_bn = layer_kit.may_have_replicas(params)
  return EfficientNet(name, width, depth, use_sync_bn, layers)


for _size, _coefficients in _SIZES.items():
  _name = f'efficientnet-{_size}'
  registries.register_backbone(_name)(
    functools.partial(_from_params, _name, *_coefficients)
  )
