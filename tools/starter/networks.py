"""Networks that a config may have, each that of a preset."""

import json
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from configs import params_dict, presets, resolver, yaml_loader
from evaluation.dataset import anchor_fit
from modeling import checkpoint as checkpoint_lib
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
# By the scope of a trained backbone a preset, and the key of what is in braces.
_WARM = (
  (r'resnet(10|14|18|26|34)/', 'small_cpu', 'resnet.resnet_depth'),
  (r'resnet(50|101|152|200)/', 'retinanet_resnet50', 'resnet.resnet_depth'),
  (r'(efficientnet-\w+)/', 'retinanet_efficientnetb0', 'architecture.backbone'),
)
# Kernels that a ResNet has beyond its depth: one more in each of four groups,
# and none of its dense layer among these.
_KERNEL, _MORE_KERNELS = re.compile(r'conv2d(_\d+)?/kernel$'), 3
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
    checkpoint: parameters of `train.checkpoint` for a trained backbone; empty
      if that is trained from scratch.
  """

  preset: presets.Preset
  settings: Dict[str, Any]
  schedule: Dict[str, Any]
  finest: Sequence[int]
  checkpoint: Dict[str, str]

  @property
  def batch(self) -> int:
    """Images that the learning rates are for."""
    return self.schedule['train.learning_rate.base_batch_size']

  def config(self, block: anchor_fit.Block, num_classes: int) -> str:
    """JSON of the parameters that make it."""
    nested = params_dict.nested(
      {**self.settings, 'architecture.num_classes': num_classes}
    )
    changes = block.changes()
    nested['architecture'].update(changes['architecture'])
    return json.dumps({**nested, 'anchor': changes['anchor']})


def of_preset(
  name: str,
  changes: Optional[Dict[str, Any]] = None,
  checkpoint: Optional[Dict[str, str]] = None,
) -> Network:
  """The network of a preset, with changes by dotted key."""
  (preset,) = presets.find_presets([name])
  params = resolver.resolve(config_file=preset.path).params
  said = params_dict.ParamsDict(yaml_loader.load(files.read_text(preset.path)))
  settings = {**dict(said.leaves()), **(changes or {})}
  backbone = settings.get('architecture.backbone', params.architecture.backbone)
  return Network(
    preset,
    {k: v for k, v in settings.items() if not _REPLACED.match(k)},
    {k: v for k, v in params.leaves() if k.startswith('train.')},
    # The blocks of a SpineNet begin at level 3.
    (3,) if backbone.startswith('spinenet') else (3, 2),
    checkpoint or {},
  )


def candidates(checkpoint: str = '') -> List[Network]:
  """Those from scratch, small to large; or that of a trained backbone.

  Raises:
    UserError: there is no checkpoint, or its backbone is not known.
  """
  if not checkpoint:
    return [of_preset(name) for name in _FROM_SCRATCH]
  prefix = checkpoint_lib.resolve_checkpoint(checkpoint)
  names = [name for name, _ in tf.train.list_variables(prefix)]
  # As published, a ResNet has no scope.
  depth = len([*filter(_KERNEL.match, names)]) - _MORE_KERNELS
  prefix = f'resnet{depth}/'
  for name in (*names, prefix):
    for scope, preset, key in _WARM:
      match = re.match(scope, name)
      if match:
        start = {'path': checkpoint}
        if name is prefix:
          start['prefix'] = prefix
        value = yaml_loader.load(match.group(1))
        return [of_preset(preset, {key: value}, start)]
  raise errors.UserError(
    f"--checkpoint: '{checkpoint}' holds no backbone of a ResNet or "
    f'EfficientNet, but {errors.shown(names[:3])}. Set train.checkpoint.path '
    'in a config of its own network.'
  )
