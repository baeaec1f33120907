"""RetinaNet's class and box towers (Lin et al., arXiv:1708.02002)."""

import math
from typing import Any, Dict, Optional, Tuple

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit

# Every anchor starts with this probability for every class.
_PRIOR = 0.01


class RetinanetHead:
  """Pyramid to class logits and box regressions.

  The convolutions are shared by all levels, the batch norms are not.

  Args:
    min_level, max_level: levels of the pyramid.
    num_classes: including the background, which is class 0.
    anchors_per_location: number of anchors at each cell.
    layers: batch norm and activation.
    num_convs: convolutions of each tower before the prediction.
    num_filters: channels of the towers.
    use_separable_conv: depthwise then pointwise in every convolution.
    use_batch_norm: whether batch norm stands between tower convolutions.
  """

  def __init__(
    self,
    min_level: int,
    max_level: int,
    num_classes: int,
    anchors_per_location: int,
    layers: layer_kit.LayerKit,
    num_convs: int = 4,
    num_filters: int = 256,
    use_separable_conv: bool = False,
    use_batch_norm: bool = True,
  ):
    self._levels = range(min_level, max_level + 1)
    self._num_classes = num_classes
    self._anchors_per_location = anchors_per_location
    self._layers = layers
    self._num_convs = num_convs
    self._num_filters = num_filters
    self._use_separable_conv = use_separable_conv
    self._use_batch_norm = use_batch_norm

  def __call__(
    self, features: Dict[int, tf.Tensor], is_training: bool
  ) -> Tuple[Dict[int, tf.Tensor], Dict[int, tf.Tensor]]:
    """Returns class logits and box regressions by level.

    Args:
      features: {level: [batch, height, width, channels]}.
      is_training: mode of batch norm.

    Returns:
      {level: [batch, height, width, anchors * num_classes]}, class fastest,
      and {level: [batch, height, width, anchors * 4]}, (ty, tx, th, tw).
    """
    class_outputs, box_outputs = {}, {}
    class_bias = tf.constant_initializer(-math.log((1 - _PRIOR) / _PRIOR))
    with tf.variable_scope('retinanet'):
      for level in self._levels:
        with tf.variable_scope('class_net', reuse=tf.AUTO_REUSE):
          class_outputs[level] = self._tower(
            features[level],
            level,
            is_training,
            name='class',
            outputs_per_anchor=self._num_classes,
            predict_bias=class_bias,
          )
        with tf.variable_scope('box_net', reuse=tf.AUTO_REUSE):
          box_outputs[level] = self._tower(
            features[level],
            level,
            is_training,
            name='box',
            outputs_per_anchor=4,
          )
    return class_outputs, box_outputs

  def _tower(
    self,
    features: tf.Tensor,
    level: int,
    is_training: bool,
    name: str,
    outputs_per_anchor: int,
    predict_bias: Optional[Any] = None,
  ) -> tf.Tensor:
    outputs = features
    for index in range(self._num_convs):
      layer_name = f'{name}-{index}'
      outputs = convolutions.conv2d(
        outputs,
        filters=self._num_filters,
        kernel_size=3,
        use_separable_conv=self._use_separable_conv,
        kernel_initializer=tf.random_normal_initializer(stddev=0.01),
        name=layer_name,
      )
      if self._use_batch_norm:
        outputs = self._layers.norm(
          outputs, is_training, name=f'{layer_name}-{level}'
        )
      else:
        outputs = self._layers.activation(outputs)
    outputs = convolutions.conv2d(
      outputs,
      filters=self._anchors_per_location * outputs_per_anchor,
      kernel_size=3,
      use_separable_conv=self._use_separable_conv,
      kernel_initializer=tf.random_normal_initializer(stddev=1e-5),
      bias_initializer=predict_bias,
      name=f'{name}-predict',
    )
    return self._layers.recompute(outputs, [features], is_training)


def from_params(params: Any, layers: layer_kit.LayerKit) -> RetinanetHead:
  return RetinanetHead(
    min_level=params.architecture.min_level,
    max_level=params.architecture.max_level,
    num_classes=params.architecture.num_classes,
    anchors_per_location=(
      params.anchor.num_scales * len(params.anchor.aspect_ratios)
    ),
    layers=layers,
    num_convs=params.retinanet_head.num_convs,
    num_filters=params.retinanet_head.num_filters,
    use_separable_conv=params.retinanet_head.use_separable_conv,
    use_batch_norm=params.retinanet_head.use_batch_norm,
  )
