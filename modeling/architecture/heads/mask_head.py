"""Mask head of RoIs (He et al., arXiv:1703.06870)."""

from typing import Any

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit


class MaskHead:
  """Crops of RoIs to the mask logits of their classes, of twice the side.

  Args:
    num_classes: including the background, which is class 0.
    layers: batch norm and activation.
    num_convs: convolutions before the one that doubles the side.
    num_filters: channels of all of them.
    use_separable_conv: depthwise then pointwise in every convolution but the
      one that doubles the side.
    use_batch_norm: whether batch norm follows each layer but the last.
    is_class_agnostic: whether one mask stands for all classes.
  """

  def __init__(
    self,
    num_classes: int,
    layers: layer_kit.LayerKit,
    num_convs: int = 4,
    num_filters: int = 256,
    use_separable_conv: bool = False,
    use_batch_norm: bool = False,
    is_class_agnostic: bool = False,
  ):
    self._num_masks = 1 if is_class_agnostic else num_classes
    self._layers = layers
    self._num_convs = num_convs
    self._num_filters = num_filters
    self._use_separable_conv = use_separable_conv
    self._use_batch_norm = use_batch_norm

  def __call__(
    self, crops: tf.Tensor, classes: tf.Tensor, is_training: bool
  ) -> tf.Tensor:
    """Returns logits [batch, n, 2 * size, 2 * size].

    Args:
      crops: [batch, n, size, size, channels], all but batch static.
      classes: int [batch, n], which mask to return of each RoI.
      is_training: mode of batch norm.
    """
    _, num_rois, size, _, channels = crops.shape.as_list()
    features = tf.reshape(crops, [-1, size, size, channels])
    with tf.variable_scope('mask_head'):
      for index in range(self._num_convs):
        features = self._conv(
          features, self._num_filters, 3, f'mask-conv-l{index}'
        )
        features = self._layers.finish(
          features, is_training, self._use_batch_norm
        )
      features = tf.layers.conv2d_transpose(
        features,
        filters=self._num_filters,
        kernel_size=2,
        strides=2,
        padding='valid',
        kernel_initializer=layer_kit.he_fan_out(),
        name='conv5-mask',
      )
      features = self._layers.finish(
        features, is_training, self._use_batch_norm
      )
      masks = self._conv(features, self._num_masks, 1, 'mask_fcn_logits')
    if self._num_masks > 1:
      # A product, since a gather along the last axis is slow in the backward
      # pass.
      one_hot = tf.one_hot(
        tf.reshape(classes, [-1, 1]), self._num_masks, dtype=masks.dtype
      )
      pixels = tf.reshape(masks, [-1, 4 * size**2, self._num_masks])
      masks = tf.matmul(pixels, one_hot, transpose_b=True)
    masks = tf.reshape(masks, [-1, num_rois, 2 * size, 2 * size])
    return self._layers.recompute(masks, [crops], is_training)

  def _conv(
    self, features: tf.Tensor, filters: int, kernel_size: int, name: str
  ) -> tf.Tensor:
    return convolutions.conv2d(
      features,
      filters=filters,
      kernel_size=kernel_size,
      use_separable_conv=self._use_separable_conv,
      kernel_initializer=layer_kit.he_fan_out(),
      name=name,
    )


def from_params(params: Any, layers: layer_kit.LayerKit) -> MaskHead:
  settings = params.mrcnn_head
  return MaskHead(
    num_classes=params.architecture.num_classes,
    layers=layers,
    num_convs=settings.num_convs,
    num_filters=settings.num_filters,
    use_separable_conv=settings.use_separable_conv,
    use_batch_norm=settings.use_batch_norm,
    is_class_agnostic=settings.class_agnostic_mask_pred,
  )
