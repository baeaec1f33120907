"""Backbone and neck that a config names."""

from typing import Any

from modeling.architecture import backbones, layer_kit, necks, registries
from utils import discovery, errors

discovery.import_submodules(backbones.__path__, backbones.__name__)
discovery.import_submodules(necks.__path__, necks.__name__)


def backbone_generator(params: Any, layers: layer_kit.LayerKit) -> Any:
  """Returns the part named by `architecture.backbone`.

  It is called with `(images, is_training)` and gives {level: features}; its
  `scope` is the variable scope that holds all of its variables. Training
  images in space-to-depth form are for those with `takes_space_to_depth`.
  """
  build = registries.BACKBONES.get(params.architecture.backbone)
  backbone = build(params, layers)
  block_size = params.architecture.space_to_depth_block_size
  if block_size > 1 and not getattr(backbone, 'takes_space_to_depth', False):
    raise errors.ConfigError(
      f'architecture.space_to_depth_block_size: {block_size} is not possible '
      f'with architecture.backbone: {params.architecture.backbone!r}, which '
      'takes images as they are. Use 1, or resnet.'
    )
  return backbone


def neck_generator(params: Any, layers: layer_kit.LayerKit) -> Any:
  """Returns the part named by `architecture.multilevel_features`.

  It is called with `(features, is_training)` and gives {level: features}.
  """
  build = registries.NECKS.get(params.architecture.multilevel_features)
  return build(params, layers)
