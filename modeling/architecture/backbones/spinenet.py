"""SpineNet (Du et al., arXiv:1912.05027)."""

from typing import Any, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  convolutions,
  layer_kit,
  registries,
  residual_blocks,
)
from modeling.architecture import scale_permuted_network as spn
from utils import registry

_RESIDUAL, _BOTTLENECK = 'residual', 'bottleneck'
_BLOCKS = {
  _RESIDUAL: residual_blocks.residual_block,
  _BOTTLENECK: residual_blocks.bottleneck_block,
}

BLOCK_SPECS = (
  spn.BlockSpec(2, _BOTTLENECK, (0, 1)),
  spn.BlockSpec(4, _RESIDUAL, (0, 1)),
  spn.BlockSpec(3, _BOTTLENECK, (2, 3)),
  spn.BlockSpec(4, _BOTTLENECK, (2, 4)),
  spn.BlockSpec(6, _RESIDUAL, (3, 5)),
  spn.BlockSpec(4, _BOTTLENECK, (3, 5)),
  spn.BlockSpec(5, _RESIDUAL, (6, 7)),
  spn.BlockSpec(7, _RESIDUAL, (6, 8)),
  spn.BlockSpec(5, _BOTTLENECK, (8, 9)),
  spn.BlockSpec(5, _BOTTLENECK, (8, 10)),
  spn.BlockSpec(4, _BOTTLENECK, (5, 10), is_output=True),
  spn.BlockSpec(3, _BOTTLENECK, (4, 10), is_output=True),
  spn.BlockSpec(5, _BOTTLENECK, (7, 12), is_output=True),
  spn.BlockSpec(7, _BOTTLENECK, (5, 14), is_output=True),
  spn.BlockSpec(6, _BOTTLENECK, (12, 14), is_output=True),
)

_STEM_LEVEL = 2
_STEM_FILTERS = 64
_FILTERS = {2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256}


class Variant(NamedTuple):
  """Size of a SpineNet.

  Attributes:
    endpoint_filters: channels of the outputs.
    filter_scale: factor of the blocks' filters, which are rounded down.
    resample_alpha: factor of the width while a feature is resampled.
    repeats: how often each block is repeated.
  """

  endpoint_filters: int
  filter_scale: float
  resample_alpha: float
  repeats: int


VARIANTS = registry.Registry('spinenet.model_id')
for _model_id, _variant in (
  ('49S', Variant(128, 0.65, 0.5, 1)),
  ('49', Variant(256, 1.0, 0.5, 1)),
  ('96', Variant(256, 1.0, 0.5, 2)),
  ('143', Variant(256, 1.0, 1.0, 3)),
  ('143l', Variant(256, 1.3, 1.0, 3)),
  ('190', Variant(512, 1.3, 1.0, 4)),
):
  VARIANTS.register(_model_id)(_variant)


class SpineNet(spn.ScalePermutedNetwork):
  """Image to a pyramid, by residual and bottleneck blocks.

  Args:
    model_id: a name in `VARIANTS`.
    min_level, max_level: levels of the pyramid, within 3 to 7.
    layers: batch norm and activation.
    init_drop_connect_rate: stochastic depth of the last block.
    use_native_resize_op: upsample by TensorFlow's op, with equal values.
  """

  def __init__(
    self,
    model_id: str,
    min_level: int,
    max_level: int,
    layers: layer_kit.LayerKit,
    init_drop_connect_rate: Optional[float] = None,
    use_native_resize_op: bool = False,
  ):
    self._variant = VARIANTS.get(model_id)
    self._use_native_resize_op = use_native_resize_op
    super().__init__(
      name='spinenet',
      resample_name='resample_with_alpha',
      specs=BLOCK_SPECS,
      endpoint_filters=self._variant.endpoint_filters,
      min_level=min_level,
      max_level=max_level,
      layers=layers,
      init_drop_connect_rate=init_drop_connect_rate,
    )

  def _filters(self, level: int) -> int:
    return int(_FILTERS[level] * self._variant.filter_scale)

  def _stem(self, images: tf.Tensor, is_training: bool) -> List[spn.Feature]:
    outputs = convolutions.conv2d_fixed_padding(images, _STEM_FILTERS, 7, 2)
    outputs = tf.identity(outputs, 'initial_conv')
    outputs = self._layers.norm(outputs, is_training)
    outputs = tf.nn.max_pool2d(outputs, ksize=3, strides=2, padding='SAME')
    outputs = self._recompute(outputs, [images], is_training)
    outputs = tf.identity(outputs, 'initial_max_pool')
    features = []
    for name in ('stem_block_1', 'stem_block_2'):
      inputs = outputs
      outputs = self._group(
        inputs, _BOTTLENECK, _STEM_LEVEL, is_training, None, name
      )
      outputs = self._recompute(outputs, [inputs], is_training)
      features.append(spn.Feature(outputs, _STEM_LEVEL, _BOTTLENECK))
    return features

  def _group(
    self,
    inputs: tf.Tensor,
    block: str,
    level: int,
    is_training: bool,
    drop_connect_rate: Optional[float],
    name: str,
  ) -> tf.Tensor:
    filters = self._filters(level)
    return residual_blocks.block_group(
      inputs,
      block=_BLOCKS[block],
      filters=filters,
      strides=1,
      use_projection=(
        inputs.shape.as_list()[-1] != _block_channels(block, filters)
      ),
      repeats=self._variant.repeats,
      layers=self._layers,
      is_training=is_training,
      drop_connect_rate=drop_connect_rate,
      name=name,
    )

  def _block(
    self,
    inputs: tf.Tensor,
    spec: spn.BlockSpec,
    is_training: bool,
    drop_connect_rate: Optional[float],
    name: str,
  ) -> tf.Tensor:
    return self._group(
      inputs, spec.block, spec.level, is_training, drop_connect_rate, name
    )

  def _resample(
    self,
    feature: spn.Feature,
    spec: spn.BlockSpec,
    size: spn.Size,
    is_training: bool,
  ) -> tf.Tensor:
    """Narrows the map, changes its size, then widens it."""
    inputs = feature.tensor
    height, width, channels = inputs.shape.as_list()[1:]
    if feature.block == _BOTTLENECK:
      channels = channels / 4
    narrow = int(channels * self._variant.resample_alpha)
    outputs = convolutions.conv2d_fixed_padding(inputs, narrow, 1)
    outputs = self._layers.norm(outputs, is_training)
    if width > size[1]:
      outputs = convolutions.conv2d_fixed_padding(outputs, narrow, 3, 2)
      outputs = self._layers.norm(outputs, is_training)
      outputs = _pool(outputs, width, size[1])
    scale = size[1] // width
    if (height * scale, width * scale) == size and (
      not self._use_native_resize_op
    ):
      outputs = convolutions.nearest_upsampling(outputs, scale)
    else:
      outputs = convolutions.native_resize(outputs, size)
    outputs = convolutions.conv2d_fixed_padding(
      outputs, _block_channels(spec.block, self._filters(spec.level)), 1
    )
    return self._layers.norm(outputs, is_training, activate=False)


def _block_channels(block: str, filters: int) -> int:
  return 4 * filters if block == _BOTTLENECK else filters


def _pool(inputs: tf.Tensor, from_width: int, to_width: int) -> tf.Tensor:
  """Shrinks further what a stride of 2 has halved already.

  Args:
    inputs: [batch, height, width, channels].
    from_width: width before the stride.
    to_width: width that is wanted.
  """
  if from_width // to_width <= 2:
    return inputs
  divides = from_width % to_width == 0
  return tf.nn.max_pool2d(
    inputs,
    ksize=3 if from_width / to_width <= 4 else 5,
    strides=from_width // to_width // 2 if divides else 2,
    padding='SAME',
  )


@registries.register_backbone('spinenet')
def from_params(params: Any, layers: layer_kit.LayerKit) -> SpineNet:
  return SpineNet(
    model_id=params.spinenet.model_id,
    min_level=params.architecture.min_level,
    max_level=params.architecture.max_level,
    layers=layers,
    init_drop_connect_rate=params.spinenet.init_drop_connect_rate,
    use_native_resize_op=params.spinenet.use_native_resize_op,
  )
