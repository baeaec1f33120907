"""Networks of scale-permuted blocks.

SpineNet (Du et al., arXiv:1912.05027) found such an order by search: each block
takes two earlier ones, brought to its own size and width, and five of the
blocks are the pyramid that detection uses.
"""

import abc
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from modeling.architecture import (
  convolutions,
  layer_kit,
  recompute,
  regularization,
)
from utils import errors

# Levels that the found architectures end in.
_MIN_LEVEL, _MAX_LEVEL = 3, 7

Size = Tuple[int, int]


class BlockSpec(NamedTuple):
  """One block of the network.

  Attributes:
    level: its map is the image's size over 2^level, rounded up.
    block: kind of block.
    parents: indices of the features that it adds up; stem first.
    is_output: whether it is the pyramid's map of its level.
  """

  level: int
  block: str
  parents: Tuple[int, int]
  is_output: bool = False


class Feature(NamedTuple):
  """A map [batch, height, width, channels] and where it comes from."""

  tensor: tf.Tensor
  level: int
  block: str


def level_size(image_size: Size, level: int) -> Size:
  """(height, width) of the map of a level."""
  height, width = (-(-side // 2**level) for side in image_size)
  return height, width


class ScalePermutedNetwork(abc.ABC):
  """Stem, blocks, and a convolution at each end.

  Layers have automatic names, numbered in the order of creation, so the order
  of the lines below is part of the checkpoint format.

  Args:
    name: variable scope and config block.
    resample_name: start of the resampling scopes' names.
    specs: the blocks in order.
    endpoint_filters: channels of the outputs.
    min_level, max_level: levels of the outputs, within 3 to 7. All blocks are
      built in any case.
    layers: batch norm and activation. DropBlock is not used.
    init_drop_connect_rate: stochastic depth of the last block, less for
      earlier ones.
  """

  def __init__(
    self,
    name: str,
    resample_name: str,
    specs: Sequence[BlockSpec],
    endpoint_filters: int,
    min_level: int,
    max_level: int,
    layers: layer_kit.LayerKit,
    init_drop_connect_rate: Optional[float] = None,
  ):
    if not _MIN_LEVEL <= min_level <= max_level <= _MAX_LEVEL:
      raise errors.ConfigError(
        f'architecture.min_level, architecture.max_level: {name} gives levels '
        f'{_MIN_LEVEL} to {_MAX_LEVEL}, not {min_level} to {max_level}.'
      )
    self.scope = name
    self.levels = tuple(range(min_level, max_level + 1))
    self._resample_name = resample_name
    self._specs = specs
    self._endpoint_filters = endpoint_filters
    # Only the features are kept, not what is between the parts of a block.
    self._recompute = layers.recompute
    self._layers = layers._replace(
      dropblock=regularization.DropBlock(), recompute=recompute.Recompute()
    )
    self._drop_connect_rates = [
      regularization.scaled_drop_rate(
        name + '.init_drop_connect_rate',
        init_drop_connect_rate,
        index + 1,
        len(specs),
      )
      for index in range(len(specs))
    ]

  @abc.abstractmethod
  def _stem(self, images: tf.Tensor, is_training: bool) -> List[Feature]:
    """The first two features."""

  @abc.abstractmethod
  def _resample(
    self, feature: Feature, spec: BlockSpec, size: Size, is_training: bool
  ) -> tf.Tensor:
    """Brings a parent to the size and the width of a block's input."""

  @abc.abstractmethod
  def _block(
    self,
    inputs: tf.Tensor,
    spec: BlockSpec,
    is_training: bool,
    drop_connect_rate: Optional[float],
    name: str,
  ) -> tf.Tensor:
    """The block itself; its output is a tensor called `name`."""

  def _check_image_size(self, image_size: Size) -> None:
    """Raises ConfigError if the network cannot be built for an image."""
    if None in image_size:
      raise errors.ConfigError(
        'architecture.backbone: {} is built for one image size; the images '
        'have a height of {} and a width of {} pixels, where None is not '
        'known. Give a fixed size.'.format(self.scope, *image_size)
      )

  def __call__(
    self, images: tf.Tensor, is_training: bool
  ) -> Dict[int, tf.Tensor]:
    """Returns {level: [batch, height, width, endpoint_filters]}.

    Height and width are the image's over 2^level, rounded up.

    Args:
      images: [batch, height, width, 3], normalised; height and width static.
      is_training: mode of batch norm and drop-connect.
    """
    image_size = tuple(images.shape.as_list()[1:3])
    self._check_image_size(image_size)
    with tf.variable_scope(self.scope):
      features = self._stem(images, is_training)
      outputs: Dict[int, tf.Tensor] = {}
      used = set()
      for index, spec in enumerate(self._specs):
        with tf.variable_scope(f'sub_policy{index}'):
          features.append(
            self._permuted_block(index, features, used, image_size, is_training)
          )
        if spec.is_output:
          outputs[spec.level] = features[-1].tensor
      return {
        level: self._endpoint(outputs[level], is_training)
        for level in self.levels
      }

  def _permuted_block(
    self,
    index: int,
    features: List[Feature],
    used: set,
    image_size: Size,
    is_training: bool,
  ) -> Feature:
    spec = self._specs[index]
    size = level_size(image_size, spec.level)
    resampled = []
    for position, parent in enumerate(spec.parents):
      scope = f'{self._resample_name}_resample_{index}_{position}'
      with tf.variable_scope(scope):
        resampled.append(
          self._resample(features[parent], spec, size, is_training)
        )
    used.update(spec.parents)
    merged = resampled[0] + resampled[1]
    if spec.is_output:
      merged = self._add_unused(merged, features, used)
    name = f'scale_permuted_block_{len(features)}'
    with tf.variable_scope(name):
      outputs = self._block(
        self._layers.activation(merged),
        spec,
        is_training,
        self._drop_connect_rates[index],
        name,
      )
    inputs = [feature.tensor for feature in features]
    outputs = self._recompute(outputs, inputs, is_training)
    return Feature(outputs, spec.level, spec.block)

  def _add_unused(
    self, merged: tf.Tensor, features: List[Feature], used: set
  ) -> tf.Tensor:
    """Adds what no block has taken yet and fits, so that nothing is lost.

    What fits is a matter of width and channels: in images so small that
    levels coincide, a feature of another level fits, too.
    """
    height, width, channels = merged.shape.as_list()[1:]
    for index, feature in enumerate(features):
      fits = feature.tensor.shape.as_list()[2:] == [width, channels]
      if index not in used and fits:
        merged += convolutions.native_resize(feature.tensor, (height, width))
        used.add(index)
    return merged

  def _endpoint(self, inputs: tf.Tensor, is_training: bool) -> tf.Tensor:
    outputs = convolutions.conv2d_fixed_padding(
      inputs, self._endpoint_filters, 1
    )
    outputs = self._layers.norm(outputs, is_training)
    return self._recompute(outputs, [inputs], is_training)
