"""Head of semantic segmentation: one level of features to class logits."""

from typing import Any

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit


class SegmentationHead:
  """Convolutions of the width of their input, upsampling, and class logits.

  Args:
    num_classes: number of logits of a cell.
    layers: batch norm and activation.
    num_convs: 3x3 convolutions.
    upsample_factor: above 1, a transposed convolution multiplies the size.
    upsample_num_filters: its channels.
    use_batch_norm: whether batch norm follows each layer but the last.
  """

  def __init__(
    self,
    num_classes: int,
    layers: layer_kit.LayerKit,
    num_convs: int = 2,
    upsample_factor: int = 1,
    upsample_num_filters: int = 256,
    use_batch_norm: bool = True,
  ):
    self._num_classes = num_classes
    self._layers = layers
    self._num_convs = num_convs
    self._upsample_factor = upsample_factor
    self._upsample_num_filters = upsample_num_filters
    self._use_batch_norm = use_batch_norm

  def __call__(self, features: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Returns logits [batch, factor * height, factor * width, num_classes].

    Args:
      features: [batch, height, width, channels].
      is_training: mode of batch norm.
    """
    filters = features.shape.as_list()[3]
    normal = tf.random_normal_initializer(stddev=0.01)

    def finish(outputs, name):
      if self._use_batch_norm:
        return self._layers.norm(outputs, is_training, name=name)
      return self._layers.activation(outputs)

    with tf.variable_scope('segmentation', reuse=tf.AUTO_REUSE):
      for i in range(self._num_convs):
        features = convolutions.conv2d(
          features, filters, 3, kernel_initializer=normal, name=f'conv-{i}'
        )
        features = finish(features, f'conv-{i}-bn')
      if self._upsample_factor > 1:
        features = tf.layers.conv2d_transpose(
          features,
          filters=self._upsample_num_filters,
          kernel_size=self._upsample_factor,
          strides=self._upsample_factor,
          padding='valid',
          kernel_initializer=layer_kit.he_fan_out(),
          name='deconv-upsample',
        )
        features = finish(features, 'conv-upsample-bn')
      return convolutions.conv2d(
        features, self._num_classes, 1, kernel_initializer=normal
      )


def from_params(params: Any, layers: layer_kit.LayerKit) -> SegmentationHead:
  settings = params.segmentation_head
  return SegmentationHead(
    num_classes=params.architecture.num_classes,
    layers=layers,
    num_convs=settings.num_convs,
    upsample_factor=settings.upsample_factor,
    upsample_num_filters=settings.upsample_num_filters,
    use_batch_norm=settings.use_batch_norm,
  )
