"""Builds the parts that a config names."""

from typing import Any

from modeling.architecture import (
  backbones,
  necks,
  normalization,
  registries,
)
from utils import discovery

discovery.import_submodules(backbones.__path__, backbones.__name__)
discovery.import_submodules(necks.__path__, necks.__name__)


def backbone_generator(params: Any, shared: normalization.Normalization) -> Any:
  """Returns the part named by `architecture.backbone`.

  It is called with `(images, is_training)` and gives {level: features}; its
  `scope` is the variable scope that holds all of its variables.
  """
  build = registries.BACKBONES.get(params.architecture.backbone)
  return build(params, shared)


def neck_generator(params: Any, shared: normalization.Normalization) -> Any:
  """Returns the part named by `architecture.multilevel_features`.

  It is called with `(features, is_training)` and gives {level: features}.
  """
  build = registries.NECKS.get(params.architecture.multilevel_features)
  return build(params, shared)
