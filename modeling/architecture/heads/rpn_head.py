"""Head of a region proposal network (Ren et al., arXiv:1506.01497)."""

from typing import Any, Dict, Tuple

import tensorflow.compat.v1 as tf

from modeling.architecture import convolutions, layer_kit

LevelTensors = Dict[int, tf.Tensor]


class RpnHead:
  """Pyramid to scores and box regressions of anchors.

  The convolutions are shared by all levels, the batch norms are not.

  Args:
    anchors_per_location: number of anchors at each cell.
    layers: batch norm and activation.
    num_convs: convolutions before the predictions.
    num_filters: their channels.
    use_separable_conv: depthwise then pointwise in every convolution.
    use_batch_norm: whether batch norm follows each of them.
    cast_to_float32: whether the predictions are computed in float32 also under
      bfloat16.
  """

  def __init__(
    self,
    anchors_per_location: int,
    layers: layer_kit.LayerKit,
    num_convs: int = 1,
    num_filters: int = 256,
    use_separable_conv: bool = False,
    use_batch_norm: bool = False,
    cast_to_float32: bool = False,
  ):
    self._anchors_per_location = anchors_per_location
    self._layers = layers
    self._num_convs = num_convs
    self._num_filters = num_filters
    self._use_separable_conv = use_separable_conv
    self._use_batch_norm = use_batch_norm
    self._cast_to_float32 = cast_to_float32

  def __call__(
    self, features: LevelTensors, is_training: bool
  ) -> Tuple[LevelTensors, LevelTensors]:
    """Returns logits and box regressions by level.

    Args:
      features: {level: [batch, height, width, channels]}.
      is_training: mode of batch norm.

    Returns:
      {level: [batch, height, width, anchors]} and {level: [batch, height,
      width, anchors * 4]}, (ty, tx, th, tw).
    """
    scores, boxes = {}, {}
    with tf.variable_scope('rpn_head', reuse=tf.AUTO_REUSE):
      for level in sorted(features):
        maps = features[level]
        for index in range(self._num_convs):
          suffix = f'-{index}' if index else ''
          maps = self._conv(maps, self._num_filters, 3, 'rpn' + suffix)
          if self._use_batch_norm:
            name = f'rpn-l{level}-bn{suffix}'
            maps = self._layers.norm(maps, is_training, name=name)
          else:
            maps = self._layers.activation(maps)
        if self._cast_to_float32:
          maps = tf.cast(maps, tf.float32)
        count = self._anchors_per_location
        scores[level] = self._conv(maps, count, 1, 'rpn-class')
        boxes[level] = self._conv(maps, 4 * count, 1, 'rpn-box')
    return scores, boxes

  def _conv(
    self, maps: tf.Tensor, filters: int, kernel_size: int, name: str
  ) -> tf.Tensor:
    return convolutions.conv2d(
      maps,
      filters=filters,
      kernel_size=kernel_size,
      use_separable_conv=self._use_separable_conv,
      kernel_initializer=tf.random_normal_initializer(stddev=0.01),
      name=name,
    )


def from_params(params: Any, layers: layer_kit.LayerKit) -> RpnHead:
  settings = params.rpn_head
  return RpnHead(
    anchors_per_location=(
      params.anchor.num_scales * len(params.anchor.aspect_ratios)
    ),
    layers=layers,
    num_convs=settings.num_convs,
    num_filters=settings.num_filters,
    use_separable_conv=settings.use_separable_conv,
    use_batch_norm=settings.use_batch_norm,
    cast_to_float32=settings.cast_to_float32,
  )
