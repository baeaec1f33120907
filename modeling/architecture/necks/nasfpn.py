"""NAS-FPN (Ghiasi et al., arXiv:1904.07392)."""

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  convolutions,
  layer_kit,
  registries,
  regularization,
  residual_blocks,
)
from utils import errors, registry

# The search fixed these levels.
_MIN_LEVEL, _MAX_LEVEL = 3, 7
_NUM_LEVELS = _MAX_LEVEL - _MIN_LEVEL + 1

_SUM, _ATTENTION = 'sum', 'attention'


class NodeSpec(NamedTuple):
  """One node of the cell.

  Attributes:
    level: of the node's map.
    combination: how its two inputs are combined.
    inputs: indices of features; 0 to 4 are the cell's inputs of levels 3 to
      7, then come the nodes.
    is_output: whether unused features of its level are added.
  """

  level: int
  combination: str
  inputs: Tuple[int, int]
  is_output: bool


CELL_SPECS = (
  NodeSpec(4, _ATTENTION, (1, 3), False),
  NodeSpec(4, _SUM, (1, 5), False),
  NodeSpec(3, _SUM, (0, 6), True),
  NodeSpec(4, _SUM, (6, 7), True),
  NodeSpec(5, _ATTENTION, (7, 8), True),
  NodeSpec(7, _ATTENTION, (6, 9), True),
  NodeSpec(6, _ATTENTION, (9, 10), True),
)


BLOCK_FNS = registry.Registry('nasfpn.block_fn')


class Feature(NamedTuple):
  """A map [batch, height, width, channels] of a level."""

  tensor: tf.Tensor
  level: int


class NasFpn:
  """Backbone maps to a pyramid, by a cell that a search found, repeated.

  Args:
    min_level, max_level: 3 and 7.
    layers: batch norm, activation, DropBlock.
    filters: channels d of every map; with `block_fn` 'bottleneck' the pyramid
      has 4 * d.
    num_repeats: number of cells.
    use_separable_conv: depthwise then pointwise in every convolution.
    block_fn: what follows a combination, 'conv' or 'bottleneck'.
    init_drop_connect_rate: stochastic depth of bottleneck blocks.
    use_sum_for_combination: add at every node.
  """

  def __init__(
    self,
    min_level: int,
    max_level: int,
    layers: layer_kit.LayerKit,
    filters: int = 256,
    num_repeats: int = 5,
    use_separable_conv: bool = False,
    block_fn: str = 'conv',
    init_drop_connect_rate: Optional[float] = None,
    use_sum_for_combination: bool = False,
  ):
    if (min_level, max_level) != (_MIN_LEVEL, _MAX_LEVEL):
      raise errors.ConfigError(
        'architecture.min_level, architecture.max_level: nasfpn is made for '
        f'levels {_MIN_LEVEL} to {_MAX_LEVEL}, not {min_level} to {max_level}.'
      )
    if num_repeats < 1:
      raise errors.ConfigError(
        f'nasfpn.num_repeats: {num_repeats} is not a positive number.'
      )
    self._layers = layers
    self._filters = filters
    self._num_repeats = num_repeats
    self._use_separable_conv = use_separable_conv
    self._block = BLOCK_FNS.get(block_fn)
    self._drop_connect_rate = regularization.checked_drop_rate(
      'nasfpn.init_drop_connect_rate', init_drop_connect_rate
    )
    self._use_sum = use_sum_for_combination

  def __call__(
    self, features: Dict[int, tf.Tensor], is_training: bool
  ) -> Dict[int, tf.Tensor]:
    """Returns {level: [batch, height, width, channels]} of levels 3 to 7.

    Args:
      features: {level: [batch, height, width, channels]} from level 3 or
        below; height and width halve from level to level, down to level 7.
      is_training: mode of batch norm and regularisation.
    """
    if min(features) > _MIN_LEVEL:
      raise errors.ConfigError(
        'architecture.multilevel_features: nasfpn starts at level '
        f'{_MIN_LEVEL}, but the lowest level of the backbone is '
        f'{min(features)}.'
      )
    pyramid: List[Feature] = []
    for level in range(_MIN_LEVEL, _MAX_LEVEL + 1):
      if level in features:
        source, prefix = Feature(features[level], level), 'l'
      else:
        source, prefix = pyramid[-1], 'p'
      name = f'{prefix}{level}'
      pyramid.append(self._resample(source, level, name, is_training))
    with tf.variable_scope('fpn_cells'):
      for repeat in range(self._num_repeats):
        with tf.variable_scope(f'cell_{repeat}'):
          pyramid = self._cell(pyramid, is_training)
    return {feature.level: feature.tensor for feature in pyramid}

  def _cell(self, inputs: List[Feature], is_training: bool) -> List[Feature]:
    """One pass over the nodes; the last five, in order of level."""
    features = list(inputs)
    used: Set[int] = set()
    for index, spec in enumerate(CELL_SPECS):
      with tf.variable_scope(f'sub_policy{index}'):
        features.append(self._node(index, spec, features, used, is_training))
    return sorted(features[-_NUM_LEVELS:], key=lambda feature: feature.level)

  def _node(
    self,
    index: int,
    spec: NodeSpec,
    features: List[Feature],
    used: Set[int],
    is_training: bool,
  ) -> Feature:
    count = len(features)
    first, second = (
      self._resample(
        features[source],
        spec.level,
        f'{position}_{source}_{count}',
        is_training,
      ).tensor
      for position, source in enumerate(spec.inputs)
    )
    used.update(spec.inputs)
    if spec.combination == _SUM or self._use_sum:
      merged = first + second
    elif features[spec.inputs[0]].level >= features[spec.inputs[1]].level:
      merged = _attend(first, second)
    else:
      merged = _attend(second, first)
    if spec.is_output:
      for source, feature in enumerate(features):
        if source not in used and feature.level == spec.level:
          name = f'fa_{index}_{source}'
          merged += self._resample(
            feature, spec.level, name, is_training
          ).tensor
          used.add(source)
    merged = self._layers.recompute(
      self._layers.activation(merged),
      [feature.tensor for feature in features],
      is_training,
    )
    with tf.variable_scope(f'op_after_combine{count}'):
      outputs = self._block(self, merged, is_training)
    return Feature(outputs, spec.level)

  def _resample(
    self, feature: Feature, level: int, name: str, is_training: bool
  ) -> Feature:
    """Brings a map to d channels, and to the size of a level."""
    outputs = feature.tensor
    with tf.variable_scope('resample_' + name):
      if outputs.shape.as_list()[-1] != self._filters:
        outputs = convolutions.conv2d(
          outputs,
          filters=self._filters,
          kernel_size=1,
          use_separable_conv=self._use_separable_conv,
        )
        outputs = self._layers.norm(
          outputs, is_training, activate=False, name='bn'
        )
      if feature.level < level:
        stride = 2 ** (level - feature.level)
        outputs = tf.nn.max_pool2d(
          outputs, ksize=stride, strides=stride, padding='SAME'
        )
      elif feature.level > level:
        outputs = convolutions.nearest_upsampling(
          outputs, 2 ** (feature.level - level)
        )
    return Feature(outputs, level)

  @BLOCK_FNS.register('conv')
  def _conv_block(self, inputs: tf.Tensor, is_training: bool) -> tf.Tensor:
    outputs = convolutions.conv2d(
      inputs,
      filters=self._filters,
      kernel_size=3,
      use_separable_conv=self._use_separable_conv,
      name='conv',
    )
    outputs = self._layers.norm(outputs, is_training, activate=False, name='bn')
    outputs = self._layers.dropblock(outputs, is_training)
    return self._layers.recompute(outputs, [inputs], is_training)

  @BLOCK_FNS.register('bottleneck')
  def _bottleneck_block(
    self, inputs: tf.Tensor, is_training: bool
  ) -> tf.Tensor:
    return residual_blocks.bottleneck_block(
      inputs,
      filters=self._filters,
      strides=1,
      use_projection=inputs.shape.as_list()[-1] != 4 * self._filters,
      layers=self._layers,
      is_training=is_training,
      # The same for all blocks, unlike in the backbones.
      drop_connect_rate=self._drop_connect_rate,
    )


def _attend(coarse: tf.Tensor, fine: tf.Tensor) -> tf.Tensor:
  """Adds the fine map, its channels weighted by the coarse map's maxima."""
  weights = tf.sigmoid(tf.reduce_max(coarse, [1, 2], keepdims=True))
  return coarse + fine * weights


@registries.register_neck('nasfpn')
def from_params(params: Any, layers: layer_kit.LayerKit) -> NasFpn:
  settings = params.nasfpn
  # The one neck with an activation of its own.
  layers = layer_kit.from_params(params, 'nasfpn.activation')
  return NasFpn(
    min_level=params.architecture.min_level,
    max_level=params.architecture.max_level,
    layers=layers,
    filters=settings.fpn_feat_dims,
    num_repeats=settings.num_repeats,
    use_separable_conv=settings.use_separable_conv,
    block_fn=settings.block_fn,
    init_drop_connect_rate=settings.init_drop_connect_rate,
    use_sum_for_combination=settings.use_sum_for_combination,
  )
