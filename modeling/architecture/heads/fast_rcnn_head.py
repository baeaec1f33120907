"""Class and box head of RoIs (Girshick, arXiv:1504.08083)."""

from typing import Any, Tuple

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit


class FastRcnnHead:
  """Crops of RoIs to class logits and box regressions.

  Args:
    num_classes: including the background, which is class 0.
    layers: batch norm and activation.
    num_convs: convolutions before the dense layers.
    num_filters: their channels.
    use_separable_conv: depthwise then pointwise in every convolution.
    use_batch_norm: whether batch norm follows each layer but the last two.
    num_fcs: dense layers.
    fc_dims: their units.
    is_class_agnostic: whether one box stands for all classes.
  """

  def __init__(
    self,
    num_classes: int,
    layers: layer_kit.LayerKit,
    num_convs: int = 0,
    num_filters: int = 256,
    use_separable_conv: bool = False,
    use_batch_norm: bool = False,
    num_fcs: int = 2,
    fc_dims: int = 1024,
    is_class_agnostic: bool = False,
  ):
    self._num_classes = num_classes
    self._layers = layers
    self._num_convs = num_convs
    self._num_filters = num_filters
    self._use_separable_conv = use_separable_conv
    self._use_batch_norm = use_batch_norm
    self._num_fcs = num_fcs
    self._fc_dims = fc_dims
    self._num_boxes = 1 if is_class_agnostic else num_classes

  def __call__(
    self, crops: tf.Tensor, is_training: bool
  ) -> Tuple[tf.Tensor, tf.Tensor]:
    """Returns class logits and box regressions.

    Args:
      crops: [batch, n, size, size, channels], all but batch static.
      is_training: mode of batch norm.

    Returns:
      [batch, n, num_classes] and [batch, n, 4 * num_classes], class-major; of
      all classes in one, [batch, n, 4].
    """
    _, num_rois, height, width, channels = crops.shape.as_list()
    features = tf.reshape(crops, [-1, height, width, channels])
    with tf.variable_scope('fast_rcnn_head'):
      for index in range(self._num_convs):
        features = convolutions.conv2d(
          features,
          filters=self._num_filters,
          kernel_size=3,
          use_separable_conv=self._use_separable_conv,
          kernel_initializer=layer_kit.he_fan_out(),
          name=f'conv_{index}',
        )
        features = self._layers.finish(
          features, is_training, self._use_batch_norm
        )
      features = tf.reshape(features, [-1, features.shape[1:].num_elements()])
      for index in range(self._num_fcs):
        # The first five were layers of AlexNet.
        features = tf.layers.dense(
          features, self._fc_dims, name=f'fc{6 + index}'
        )
        features = self._layers.finish(
          features, is_training, self._use_batch_norm
        )
      logits = tf.layers.dense(
        features,
        self._num_classes,
        kernel_initializer=tf.random_normal_initializer(stddev=0.01),
        name='class-predict',
      )
      boxes = tf.layers.dense(
        features,
        4 * self._num_boxes,
        kernel_initializer=tf.random_normal_initializer(stddev=0.001),
        name='box-predict',
      )
    return (
      tf.reshape(logits, [-1, num_rois, self._num_classes]),
      tf.reshape(boxes, [-1, num_rois, 4 * self._num_boxes]),
    )


def from_params(params: Any, layers: layer_kit.LayerKit) -> FastRcnnHead:
  settings = params.frcnn_head
  return FastRcnnHead(
    num_classes=params.architecture.num_classes,
    layers=layers,
    num_convs=settings.num_convs,
    num_filters=settings.num_filters,
    use_separable_conv=settings.use_separable_conv,
    use_batch_norm=settings.use_batch_norm,
    num_fcs=settings.num_fcs,
    fc_dims=settings.fc_dims,
    is_class_agnostic=settings.class_agnostic_bbox_pred,
  )
