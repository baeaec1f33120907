"""ResNet (He et al., arXiv:1512.03385), with the stride in the 3x3."""

from typing import Any, Dict, Optional

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  convolutions,
  layer_kit,
  registries,
  regularization,
  residual_blocks,
  space_to_depth,
)
from utils import registry

_RESIDUAL = residual_blocks.residual_block
_BOTTLENECK = residual_blocks.bottleneck_block

# depth: (block, number of blocks in the groups C2, C3, C4 and C5)
_SPECS = {
  10: (_RESIDUAL, (1, 1, 1, 1)),
  14: (_BOTTLENECK, (1, 1, 1, 1)),
  18: (_RESIDUAL, (2, 2, 2, 2)),
  26: (_BOTTLENECK, (2, 2, 2, 2)),
  34: (_RESIDUAL, (3, 4, 6, 3)),
  50: (_BOTTLENECK, (3, 4, 6, 3)),
  101: (_BOTTLENECK, (3, 4, 23, 3)),
  152: (_BOTTLENECK, (3, 8, 36, 3)),
  200: (_BOTTLENECK, (3, 24, 36, 3)),
}
DEPTHS = registry.Registry('resnet.resnet_depth')
for _depth, _spec in _SPECS.items():
  DEPTHS.register(_depth)(_spec)

_STEM_FILTERS = 64
_STEM_KERNEL = 7
_STEM_STRIDES = 2
_FIRST_LEVEL = 2
_LAST_LEVEL = 5


class Resnet:
  """Image to the feature maps C2 to C5.

  Args:
    depth: a name in `DEPTHS`.
    layers: batch norm, activation, DropBlock.
    init_drop_connect_rate: stochastic depth of C5, less for earlier groups.
    space_to_depth_block_size: if above 1, training images come as
      [batch, height / size, width / size, 3 * size^2]; the variables and the
      result are those of the ordinary stem.
  """

  takes_space_to_depth = True

  def __init__(
    self,
    depth: int,
    layers: layer_kit.LayerKit,
    init_drop_connect_rate: Optional[float] = None,
    space_to_depth_block_size: int = 1,
  ):
    self._layers = layers
    self._block, self._repeats = DEPTHS.get(depth)
    self._init_drop_connect_rate = regularization.checked_drop_rate(
      'resnet.init_drop_connect_rate', init_drop_connect_rate
    )
    self._space_to_depth_block_size = space_to_depth_block_size
    self.scope = f'resnet{depth}'
    self.levels = tuple(range(_FIRST_LEVEL, _LAST_LEVEL + 1))

  def __call__(
    self, images: tf.Tensor, is_training: bool
  ) -> Dict[int, tf.Tensor]:
    """Returns {level: [batch, height / 2^level, width / 2^level, channels]}.

    Args:
      images: [batch, height, width, 3], normalised.
      is_training: mode of batch norm and regularisation.
    """
    with tf.variable_scope(self.scope):
      features = self._stem(images, is_training)
      outputs = {}
      for level in self.levels:
        features = residual_blocks.block_group(
          features,
          block=self._block,
          filters=_STEM_FILTERS * 2 ** (level - _FIRST_LEVEL),
          strides=1 if level == _FIRST_LEVEL else 2,
          # Also where the widths agree: checkpoints hold these kernels.
          use_projection=True,
          repeats=self._repeats[level - _FIRST_LEVEL],
          layers=self._layers,
          is_training=is_training,
          drop_connect_rate=regularization.scaled_drop_rate(
            'resnet.init_drop_connect_rate',
            self._init_drop_connect_rate,
            level,
            _LAST_LEVEL,
          ),
          name=f'block_group{level - 1}',
        )
        outputs[level] = features
      return outputs

  def _stem(self, images: tf.Tensor, is_training: bool) -> tf.Tensor:
    if is_training and self._space_to_depth_block_size > 1:
      features = space_to_depth.conv2d_space_to_depth(
        images,
        filters=_STEM_FILTERS,
        kernel_size=_STEM_KERNEL,
        strides=_STEM_STRIDES,
        block_size=self._space_to_depth_block_size,
      )
    else:
      features = convolutions.conv2d_fixed_padding(
        images, _STEM_FILTERS, _STEM_KERNEL, _STEM_STRIDES
      )
    features = tf.identity(features, 'initial_conv')
    features = self._layers.norm(features, is_training)
    features = tf.nn.max_pool2d(features, ksize=3, strides=2, padding='SAME')
    features = self._layers.recompute(features, [images], is_training)
    return tf.identity(features, 'initial_max_pool')


@registries.register_backbone('resnet')
def from_params(params: Any, layers: layer_kit.LayerKit) -> Resnet:
  return Resnet(
    depth=params.resnet.resnet_depth,
    layers=layers,
    init_drop_connect_rate=params.resnet.init_drop_connect_rate,
    space_to_depth_block_size=params.architecture.space_to_depth_block_size,
  )
