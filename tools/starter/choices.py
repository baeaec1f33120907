"""Parameters of a config, each with its reason."""

import math
import re
from typing import Any, Dict, Sequence, Tuple

import numpy as np

from configs import linear_scaling, params_dict, yaml_loader
from tools.starter.facts import Facts
from tools.starter.plan import Plan

# Values, each with why it is that, by dotted key.
Choices = Dict[str, Tuple[Any, str]]

# The warm-up, as a share of the steps, and its fewest steps.
_WARM_UP, _WARM_UP_STEPS = 0.05, 50
# Epochs from which images are jittered, and their scales, as in the presets.
_JITTERS = ((100, (0.5, 2.0)), (12, (0.8, 1.2)), (0, (1.0, 1.0)))
# So many evaluations, and half of them in a row may be no better.
_PATIENT = 8
# Steps that moving averages of the weights look back: this share of all.
_AVERAGED = 0.05
_MOST_DETECTIONS = 100
# What a trained backbone decides.
_OF_BACKBONE = ('resnet.resnet_depth', 'architecture.backbone')
# Where comments begin.
_COLUMN = 40
# In a mirror they are another class, or letters that are none.
_SIDED = re.compile(r'(^|[^a-z])(left|right)([^a-z]|$)|^[a-z0-9]$', re.I)


def choose(facts: Facts, plan: Plan) -> Choices:
  """Returns the parameters in the order of a file."""
  network = plan.network
  whys = dict.fromkeys(network.settings, f'as in {network.preset.name}.yaml')
  if network.checkpoint:
    whys.update(dict.fromkeys(_OF_BACKBONE, 'that of the trained backbone'))
  return {
    **_network(facts.num_classes, plan),
    **_input(facts, plan),
    **{path: (value, whys[path]) for path, value in network.settings.items()},
    **_training(facts.files.train_file_pattern, plan),
    **_evaluation(facts, plan),
  }


def text(choices: Choices, header: Sequence[str] = ()) -> str:
  """YAML with reasons as comments, below a header of some lines."""
  return ''.join(f'# {line}'.rstrip() + '\n' for line in header) + (
    yaml_loader.dump_with_comments(
      params_dict.nested({path: value for path, (value, _) in choices.items()}),
      {path: why for path, (_, why) in choices.items()},
      _COLUMN,
      order=list,
    )
  )


def _network(num_classes: int, plan: Plan) -> Choices:
  block, name = plan.block, 'architecture.num_classes'
  low, high = block.min_level, block.max_level
  smallest = block.anchor_size * 2**low
  largest = block.anchor_size * 2 ** (high + 1 - 1 / block.num_scales)
  met = f'{smallest:.0f} to {largest:.0f} pixels; {block.share:.1%} are met'
  return {
    'type': ('retinanet', 'boxes, in one pass'),
    name: (num_classes, f'{num_classes - 1} and the background'),
    'architecture.min_level': (low, f'strides of {2**low} pixels'),
    'architecture.max_level': (high, f'to {2**high} pixels'),
    'anchor.num_scales': (block.num_scales, 'no more than objects need'),
    'anchor.aspect_ratios': (block.aspect_ratios, 'k-means of the objects'),
    'anchor.anchor_size': (block.anchor_size, met),
  }


def _input(facts: Facts, plan: Plan) -> Choices:
  height, width = np.median(facts.image_sizes, axis=0)
  size = f'95 % of objects keep {plan.small:.0f} pixels; '
  size += f'images have {height:.0f} x {width:.0f}'
  sided = next(filter(_SIDED.search, facts.names.values()), '')
  flip = f"'{sided}' has" if sided else 'no class has'
  epochs = plan.images / facts.num_images
  low, high = next(scales for least, scales in _JITTERS if epochs >= least)
  room = math.ceil(facts.most_objects / 10) * 10
  most = f'an image has up to {facts.most_objects} objects'
  chosen = {
    'retinanet_parser.output_size': (list(plan.size), size),
    'retinanet_parser.aug_rand_hflip': (not sided, f'{flip} sides'),
    'retinanet_parser.aug_scale_min': (low, f'for {epochs:.0f} epochs'),
    'retinanet_parser.aug_scale_max': (high, 'likewise'),
    'retinanet_parser.max_num_instances': (room, most),
  }
  if room > _MOST_DETECTIONS:
    chosen['postprocess.max_total_size'] = room, most
  return chosen


def _training(file_pattern: str, plan: Plan) -> Choices:
  network, batch, steps = plan.network, plan.batch, plan.steps
  rate = 'train.learning_rate.'
  values = {**network.schedule, 'train.train_batch_size': batch}
  values.update(
    linear_scaling.scaled({**values, 'eval.num_steps_per_eval': None})
  )
  init, low = rate + 'init_learning_rate', rate + 'warmup_learning_rate'
  linear = f'{network.preset.name}.yaml has a batch of {network.batch}'
  warm_up = max(round(_WARM_UP * steps), _WARM_UP_STEPS)
  warm_up = min(warm_up, values[rate + 'warmup_steps'], steps // 2)
  back, room = _AVERAGED * steps, 'leaves steps enough, and fits the memory'
  decay = round(1 - 1 / max(back, 2), 4)
  time = f'{plan.images:.0f} images: what the time holds'
  chosen = {
    'train.train_file_pattern': (file_pattern, 'found'),
    'train.train_batch_size': (batch, room),
    'train.total_steps': (steps, time),
    rate + 'type': ('cosine', 'falls to 0 in the last step'),
    rate + 'base_batch_size': (batch, 'that the rates are for'),
    init: (values[init], f'in proportion: {linear}'),
    low: (values[low], 'likewise'),
    rate + 'warmup_steps': (warm_up, f'{warm_up / steps:.0%} of the steps'),
    'train.ema_decay': (decay, f'averages of about {back:.0f} steps'),
  }
  if plan.evaluations >= _PATIENT:
    patience = plan.evaluations // 2, 'half of all without a better one'
    chosen['train.early_stop_evaluations'] = patience
  for key, value in network.checkpoint.items():
    chosen['train.checkpoint.' + key] = value, 'the trained backbone'
  return chosen


def _evaluation(facts: Facts, plan: Plan) -> Choices:
  files, number = facts.files, plan.evaluations
  often = '1 evaluation' if number == 1 else f'{number} evaluations'
  each = math.ceil(plan.steps / number), f'{often} in all'
  found = {
    'eval.val_json_file': (files.val_json_file, 'found beside them'),
    'eval.label_map_file': (files.label_map_file, 'found beside them'),
  }
  images = f'{facts.num_evaluated} images'
  return {
    'eval.eval_file_pattern': (files.eval_file_pattern, images),
    **{path: choice for path, choice in found.items() if choice[0]},
    'eval.num_steps_per_eval': each,
    'eval.per_category_metrics': (True, 'which class is hard'),
  }
