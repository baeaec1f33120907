"""SpineNet of inverted bottlenecks (Du et al., arXiv:2010.11426)."""

from typing import Any, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  convolutions,
  depthwise_conv,
  layer_kit,
  mbconv_block,
  registries,
)
from modeling.architecture import scale_permuted_network as spn
from utils import errors, registry

_MBCONV = 'mbconv'

BLOCK_SPECS = tuple(
  spn.BlockSpec(level, _MBCONV, parents, is_output)
  for level, parents, is_output in (
    (2, (0, 1), False),
    (2, (1, 2), False),
    (4, (1, 2), False),
    (3, (3, 4), False),
    (4, (3, 5), False),
    (6, (4, 6), False),
    (4, (4, 6), False),
    (5, (7, 8), False),
    (7, (7, 9), False),
    (5, (9, 10), False),
    (5, (9, 11), False),
    (4, (6, 11), True),
    (3, (5, 11), True),
    (5, (8, 13), True),
    (7, (6, 15), True),
    (6, (13, 15), True),
  )
)

_EXPAND_RATIO = 6
_STEM_FILTERS = 8
_FILTERS = {1: 16, 2: 24, 3: 40, 4: 80, 5: 112, 6: 112, 7: 112}


class Variant(NamedTuple):
  """Channels of the outputs, factor of the blocks' filters (rounded down)."""

  endpoint_filters: int
  filter_scale: float


VARIANTS = registry.Registry('spinenet_mbconv.model_id')
for _model_id, _variant in (
  ('49', Variant(48, 1.0)),
  ('49S', Variant(40, 0.65)),
  ('49XS', Variant(24, 0.6)),
):
  VARIANTS.register(_model_id)(_variant)


class SpineNetMBConv(spn.ScalePermutedNetwork):
  """Image to a pyramid, by inverted bottlenecks.

  Args:
    model_id: a name in `VARIANTS`.
    min_level, max_level: levels of the pyramid, within 3 to 7.
    layers: batch norm and activation.
    se_ratio: of `mbconv_block`, in [0, 1] or None.
    init_drop_connect_rate: stochastic depth of the last block.
    use_native_resize_op: upsample by TensorFlow's op, with equal values.
  """

  def __init__(
    self,
    model_id: str,
    min_level: int,
    max_level: int,
    layers: layer_kit.LayerKit,
    se_ratio: Optional[float] = 0.2,
    init_drop_connect_rate: Optional[float] = None,
    use_native_resize_op: bool = False,
  ):
    if se_ratio is not None and not 0.0 <= se_ratio <= 1.0:
      raise errors.ConfigError(
        f'spinenet_mbconv.se_ratio: {se_ratio} is outside [0, 1]; 0 or null '
        'leaves squeeze-and-excitation out.'
      )
    self._variant = VARIANTS.get(model_id)
    self._se_ratio = se_ratio
    self._use_native_resize_op = use_native_resize_op
    super().__init__(
      name='spinenet_mbconv',
      resample_name='resample_with_sepconv',
      specs=BLOCK_SPECS,
      endpoint_filters=self._variant.endpoint_filters,
      min_level=min_level,
      max_level=max_level,
      layers=layers,
      init_drop_connect_rate=init_drop_connect_rate,
    )

  def _scaled(self, filters: int) -> int:
    return int(filters * self._variant.filter_scale)

  def _mbconv(
    self,
    inputs: tf.Tensor,
    level: int,
    strides: int,
    is_training: bool,
    drop_connect_rate: Optional[float],
    name: str,
  ) -> tf.Tensor:
    outputs = mbconv_block.mbconv_block(
      inputs,
      filters=self._scaled(_FILTERS[level]),
      strides=strides,
      expand_ratio=_EXPAND_RATIO,
      se_ratio=self._se_ratio,
      layers=self._layers,
      is_training=is_training,
      drop_connect_rate=drop_connect_rate,
    )
    return tf.identity(outputs, name)

  def _stem(self, images: tf.Tensor, is_training: bool) -> List[spn.Feature]:
    outputs = convolutions.conv2d_fixed_padding(
      images, self._scaled(_STEM_FILTERS), 3, 2
    )
    outputs = tf.identity(outputs, 'initial_conv')
    outputs = self._layers.norm(outputs, is_training)
    outputs = self._recompute(outputs, [images], is_training)
    features = []
    for level, strides in ((1, 1), (2, 2)):
      name = f'stem_block_{level - 1}'
      inputs = outputs
      outputs = self._mbconv(inputs, level, strides, is_training, None, name)
      outputs = self._recompute(outputs, [inputs], is_training)
      features.append(spn.Feature(outputs, level, _MBCONV))
    return features

  def _block(
    self,
    inputs: tf.Tensor,
    spec: spn.BlockSpec,
    is_training: bool,
    drop_connect_rate: Optional[float],
    name: str,
  ) -> tf.Tensor:
    return self._mbconv(
      inputs, spec.level, 1, is_training, drop_connect_rate, name
    )

  def _resample(
    self,
    feature: spn.Feature,
    spec: spn.BlockSpec,
    size: spn.Size,
    is_training: bool,
  ) -> tf.Tensor:
    """Halves or upsamples the map, then changes its width."""
    outputs = feature.tensor
    width = outputs.shape.as_list()[2]
    for _ in range(_num_halvings(width, size[1])):
      outputs = depthwise_conv.depthwise_conv2d_fixed_padding(outputs, 3, 2)
      outputs = self._layers.norm(outputs, is_training)
    if width < size[1]:
      if self._use_native_resize_op:
        outputs = convolutions.native_resize(outputs, size)
      else:
        outputs = convolutions.nearest_upsampling(outputs, size[1] // width)
    outputs = convolutions.conv2d_fixed_padding(
      outputs, self._scaled(_FILTERS[spec.level]), 1
    )
    return self._layers.norm(outputs, is_training, activate=False)

  def _check_image_size(self, image_size: spn.Size) -> None:
    super()._check_image_size(image_size)
    levels = [1, 2] + [spec.level for spec in self._specs]
    for spec in self._specs:
      to_size = spn.level_size(image_size, spec.level)
      for parent in spec.parents:
        from_size = spn.level_size(image_size, levels[parent])
        if _resampled_size(from_size, to_size) != to_size:
          raise errors.ConfigError(
            'An image of {} x {} pixels (height x width) has a map of {} x {} '
            'at level {} and of {} x {} at level {}, which {} cannot bring to '
            'the same size. Use multiples of 128.'.format(
              *image_size,
              *from_size,
              levels[parent],
              *to_size,
              spec.level,
              self.scope,
            )
          )


def _num_halvings(from_width: int, to_width: int) -> int:
  count = 0
  while from_width > to_width:
    from_width /= 2
    count += 1
  return count


def _resampled_size(from_size: spn.Size, to_size: spn.Size) -> spn.Size:
  """Size that `_resample` gives for a map, or the map's where it cannot."""
  from_width, to_width = from_size[1], to_size[1]
  if from_width < to_width and not to_width % from_width:
    height, width = (side * (to_width // from_width) for side in from_size)
    return height, width
  if from_width > to_width and not from_width % to_width:
    return spn.level_size(from_size, _num_halvings(from_width, to_width))
  return from_size


@registries.register_backbone('spinenet_mbconv')
def from_params(params: Any, layers: layer_kit.LayerKit) -> SpineNetMBConv:
  return SpineNetMBConv(
    model_id=params.spinenet_mbconv.model_id,
    min_level=params.architecture.min_level,
    max_level=params.architecture.max_level,
    layers=layers,
    se_ratio=params.spinenet_mbconv.se_ratio,
    init_drop_connect_rate=params.spinenet_mbconv.init_drop_connect_rate,
    use_native_resize_op=params.spinenet_mbconv.use_native_resize_op,
  )
