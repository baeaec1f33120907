"""Networks that a config may have, each that of a preset."""

import re
from typing import Any, Dict, List, NamedTuple, Sequence

import tensorflow.compat.v1 as tf

from configs import presets, resolver, yaml_loader
from modeling import checkpoint
from utils import errors, files

# From scratch, small to large. A few hundred images and minutes are what the
# first one was made for.
_FROM_SCRATCH = (
  'small_cpu',
  'bccd_yardstick',
  'spinenet49S_retinanet',
  'retinanet_resnet50',
  'spinenet49_retinanet',
  'spinenet96_retinanet',
)
# Presets by the scope of a trained backbone; where it has a depth or a name,
# parameters that take it.
_WARM = (
  (r'resnet(?P<depth>10|14|18|26|34)/', 'small_cpu'),
  (r'resnet(?P<depth>\d+)/', 'retinanet_resnet50'),
  (r'(?P<name>efficientnet-\w+)/', 'retinanet_efficientnetb0'),
)
# What the data and the time decide anew.
_REPLACED = re.compile(
  r'type$|anchor\.|eval\.|architecture\.(num_classes|min_level|max_level)$|'
  r'\w+_parser\.|train\.(?!gradient_clip_norm|l2_weight_decay|optimizer)'
)


class Network(NamedTuple):
  """A network and how it is trained.

  Attributes:
    preset: that it is from.
    settings: by dotted key, what the preset says and data and time do not.
    schedule: the preset's `train.*` by dotted key, defaults included.
    finest: finest levels that it can have, the usual one first.
  """

  preset: presets.Preset
  settings: Dict[str, Any]
  schedule: Dict[str, Any]
  finest: Sequence[int]

  @property
  def batch(self) -> int:
    """Images that the learning rates are for."""
    return self.schedule['train.learning_rate.base_batch_size']


def of_preset(name: str, **changes: Any) -> Network:
  """The network of a preset, with changes by dotted key (`__` for a dot)."""
  (preset,) = presets.find_presets([name])
  params = resolver.resolve(config_file=preset.path).params
  said = _leaves(yaml_loader.load(files.read_text(preset.path)))
  said.update((k.replace('__', '.'), v) for k, v in changes.items())
  backbone = said.get('architecture.backbone', params.architecture.backbone)
  return Network(
    preset,
    {k: v for k, v in said.items() if not _REPLACED.match(k)},
    {k: v for k, v in params.leaves() if k.startswith('train.')},
    # The blocks of a SpineNet begin at level 3.
    (3,) if backbone.startswith('spinenet') else (3, 2),
  )


def from_scratch() -> List[Network]:
  """All that need no trained backbone, small to large."""
  return [of_preset(name) for name in _FROM_SCRATCH]


def warm(path: str) -> Network:
  """The one whose backbone a checkpoint holds.

  Raises:
    UserError: there is no checkpoint, or its backbone is not known.
  """
  prefix = checkpoint.resolve_checkpoint(path)
  names = [name for name, _ in tf.train.list_variables(prefix)]
  for scope, preset in _WARM:
    for match in filter(None, (re.match(scope, name) for name in names)):
      found = match.groupdict()
      if 'depth' in found:
        return of_preset(preset, resnet__resnet_depth=int(found['depth']))
      return of_preset(preset, architecture__backbone=found['name'])
  raise errors.UserError(
    f"--checkpoint: '{path}' holds no backbone of a ResNet or EfficientNet, "
    f'but {errors.shown(names[:3])}. Set train.checkpoint.path in a config of '
    'its own network.'
  )


def _leaves(tree: Dict[str, Any], path: str = '') -> Dict[str, Any]:
  found = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      found.update(_leaves(value, f'{path}{key}.'))
    else:
      found[path + key] = value
  return found
