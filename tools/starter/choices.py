"""Parameters of a config, each with its reason."""

import math
from typing import Any, Dict

import numpy as np

from configs import linear_scaling
from tools.starter import config_text, step_cost
from tools.starter import facts as facts_lib
from tools.starter import record_sets as record_sets_lib
from tools.starter import shape as shape_lib

# Of the machine's memory, what a batch may hold.
_MEMORY = 0.5
# The warm-up, as a share of the steps, and its fewest steps.
_WARM_UP, _WARM_UP_STEPS = 0.05, 50
# Epochs from which images are jittered, and their scales, as in the presets.
_JITTERS = ((100, (0.5, 2.0)), (12, (0.8, 1.2)), (0, (1.0, 1.0)))
# So many evaluations, and half of them in a row may be no better.
_PATIENT = 8
# Steps that moving averages of the weights look back: this share of all.
_AVERAGED = 0.05
_MOST_DETECTIONS = 100


class Choices(Dict[str, config_text.Choice]):
  """{dotted key: value and reason}, in the order of a file."""

  def put(self, path: str, value: Any, why: str) -> None:
    self[path] = config_text.Choice(value, why)


def choose(
  facts: facts_lib.Facts,
  sets: record_sets_lib.RecordSets,
  shape: shape_lib.Shape,
  batch: int,
  checkpoint: str = '',
) -> Choices:
  """Returns the parameters.

  Args:
    facts: of the data.
    sets: its files.
    shape: what the time holds.
    batch: images of a step.
    checkpoint: of a warm start, '' for none.
  """
  choices = Choices()
  _put_network(choices, facts, shape)
  _put_input(choices, facts, shape)
  _put_training(choices, sets, shape, batch)
  if checkpoint:
    choices.put('train.checkpoint.path', checkpoint, 'the trained backbone')
  _put_evaluation(choices, facts, sets, shape.time.evaluations)
  return choices


def batch_size(
  facts: facts_lib.Facts, shape: shape_lib.Shape, memory: int
) -> int:
  """The preset's, halved until it leaves steps and fits memory (bytes)."""
  settings = shape_lib.settings(shape.network, shape.block, facts.num_classes)
  each = step_cost.memory(settings, shape.size)
  batch, smallest = shape.network.batch, shape_lib.SMALLEST_BATCH
  while batch > smallest and shape.steps(batch) < shape_lib.STEPS[False]:
    batch //= 2
  while batch > 1 and batch * each > _MEMORY * memory:
    batch //= 2
  return batch


def _put_network(
  choices: Choices, facts: facts_lib.Facts, shape: shape_lib.Shape
) -> None:
  put, block, classes = choices.put, shape.block, facts.num_classes
  low, high = block.min_level, block.max_level
  put('type', 'retinanet', 'boxes, in one pass')
  put('architecture.num_classes', classes, f'{classes - 1} and the background')
  put('architecture.min_level', low, f'strides of {2**low} pixels')
  put('architecture.max_level', high, f'to {2**high} pixels')
  for path, value in shape.network.settings.items():
    if not path.startswith('train.'):
      put(path, value, f'as in {shape.network.preset.name}.yaml')
  smallest = block.anchor_size * 2**low
  largest = block.anchor_size * 2 ** (high + 1 - 1 / block.num_scales)
  met = f'{smallest:.0f} to {largest:.0f} pixels; {block.share:.1%} are met'
  put('anchor.num_scales', block.num_scales, 'no more than objects need')
  put('anchor.aspect_ratios', block.aspect_ratios, 'k-means of the objects')
  put('anchor.anchor_size', block.anchor_size, met)


def _put_input(
  choices: Choices, facts: facts_lib.Facts, shape: shape_lib.Shape
) -> None:
  def put(name: str, value: Any, why: str) -> None:
    choices.put(f'retinanet_parser.{name}', value, why)

  height, width = np.median(facts.image_sizes, axis=0)
  size = f'95 % of objects keep {shape.small:.0f} pixels of their side; '
  size += f'images have {height:.0f} x {width:.0f}'
  put('output_size', list(shape.size), size)
  sided = facts.sided_class
  mirror = (
    f"'{sided}' is another one in a mirror" if sided else 'no class has sides'
  )
  put('aug_rand_hflip', not sided, mirror)
  epochs = shape.time.images / facts.num_images
  low, high = next(scales for least, scales in _JITTERS if epochs >= least)
  put('aug_scale_min', low, f'for {epochs:.0f} epochs')
  put('aug_scale_max', high, 'likewise')
  room = math.ceil(facts.most_objects / 10) * 10
  most = f'an image has up to {facts.most_objects} objects'
  put('max_num_instances', room, most)
  if room > _MOST_DETECTIONS:
    choices.put('postprocess.max_total_size', room, most)


def _put_training(
  choices: Choices,
  sets: record_sets_lib.RecordSets,
  shape: shape_lib.Shape,
  batch: int,
) -> None:
  def put(name: str, value: Any, why: str) -> None:
    choices.put(f'train.{name}', value, why)

  network, steps = shape.network, shape.steps(batch)
  rates = {**network.schedule, 'train.train_batch_size': batch}
  rates['eval.num_steps_per_eval'] = None
  rates.update(linear_scaling.scaled(rates))
  put('train_file_pattern', sets.train_file_pattern, 'found')
  put('train_batch_size', batch, 'leaves steps enough, and fits the memory')
  images = f'{shape.time.images:.0f} images: what the time holds'
  put('total_steps', steps, images)
  put('learning_rate.type', 'cosine', 'falls to 0 in the last step')
  put('learning_rate.base_batch_size', batch, 'that the rates are for')
  name = 'learning_rate.init_learning_rate'
  linear = f'{network.preset.name}.yaml has a batch of {network.batch}'
  put(name, rates['train.' + name], f'in proportion: {linear}')
  name = 'learning_rate.warmup_learning_rate'
  put(name, rates['train.' + name], 'likewise')
  warm_up = max(round(_WARM_UP * steps), _WARM_UP_STEPS)
  warm_up = min(warm_up, rates['train.learning_rate.warmup_steps'], steps // 2)
  share = f'{warm_up / steps:.0%} of the steps'
  put('learning_rate.warmup_steps', warm_up, share)
  decay = round(1 - 1 / max(_AVERAGED * steps, 2), 4)
  put('ema_decay', decay, f'averages of about {_AVERAGED * steps:.0f} steps')
  patience = shape.time.evaluations // 2
  if shape.time.evaluations >= _PATIENT:
    put('early_stop_evaluations', patience, 'half of all without a better one')
  for path, value in network.settings.items():
    if path.startswith('train.'):
      choices.put(path, value, f'as in {network.preset.name}.yaml')


def _put_evaluation(
  choices: Choices,
  facts: facts_lib.Facts,
  sets: record_sets_lib.RecordSets,
  number: int,
) -> None:
  steps = math.ceil(choices['train.total_steps'].value / number)
  images = f'{facts.num_evaluated} images'
  choices.put('eval.eval_file_pattern', sets.eval_file_pattern, images)
  for name in ('val_json_file', 'label_map_file'):
    if getattr(sets, name):
      choices.put(f'eval.{name}', getattr(sets, name), 'found beside them')
  choices.put('eval.num_steps_per_eval', steps, f'{number} evaluations in all')
  choices.put('eval.per_category_metrics', True, 'which class is hard')
