"""Warnings about settings that work, but are hardly meant."""

import os
from typing import Any, Iterator

import tensorflow.compat.v1 as tf

from configs import params_dict, resolver, text_overrides
from executor import run_start
from utils import errors

# Of the defaults: learning rate of the batch, in proportion to which it may
# grow (Goyal et al., https://arxiv.org/abs/1706.02677).
_RATE, _BATCH = 0.08, 64
# Clipped gradients bear more: presets learn boxes well at twice the rate, and
# masks, in batches of 4, at four times, with every seed that was tried.
_CLIPPED = 4
_MOST_EPOCHS = 1000
_MOST_KEYS = 10


def find(params: Any, start: run_start.Start) -> Iterator[str]:
  """Yields a line for each.

  Args:
    params: the whole config of a run that trains.
    start: of the run.
  """
  yield from _of_rate(params.train)
  epochs = start.num_epochs(params)
  if epochs and epochs > _MOST_EPOCHS:
    yield (
      f'train.total_steps: {params.train.total_steps} steps are {epochs:.0f} '
      f'epochs of the {start.num_images} images of train.train_file_pattern; '
      f'{-(-100 * start.num_images // params.train.train_batch_size)} would '
      'be 100.'
    )
  yield from _of_resumption(params, start.step)


def _of_rate(settings: Any) -> Iterator[str]:
  schedule, total = settings.learning_rate, settings.total_steps
  rate, batch_size = schedule.init_learning_rate, settings.train_batch_size
  base, known = schedule.base_batch_size, rate
  origin = 'train.learning_rate.base_batch_size'
  if base is None:
    base, known, origin = _BATCH, _RATE, 'the defaults'
  linear = known * batch_size / base
  most = linear * _CLIPPED if settings.gradient_clip_norm else linear
  if settings.optimizer.type == 'momentum' and rate > most * (1 + 1e-6):
    yield (
      f'train.learning_rate.init_learning_rate: {rate:g} is '
      f'{rate / linear:.3g} times what train.train_batch_size: {batch_size} '
      f'has in proportion, {linear:g} (by {origin} {known:g} is for {base}); '
      'the loss may grow without bound.'
    )
  if schedule.warmup_steps >= total > 0:
    yield (
      f'train.learning_rate.warmup_steps: {schedule.warmup_steps} is not '
      f'below train.total_steps: {total}; the learning rate never gets to '
      f'{rate:g}.'
    )
  late = [step for step in schedule.learning_rate_steps if step >= total]
  if schedule.type == 'step' and late:
    yield (
      'train.learning_rate.learning_rate_steps: {} not below '
      'train.total_steps: {}; there the learning rate never falls.'.format(
        ', '.join(map(str, late)) + (' is' if len(late) == 1 else ' are'), total
      )
    )


def _of_resumption(params: Any, step: int) -> Iterator[str]:
  path = os.path.join(params.model_dir, resolver.FILE_NAME)
  if not step or not tf.io.gfile.exists(path):
    return
  try:
    saved = params_dict.ParamsDict(text_overrides.read_file(path))
  except errors.ConfigError as error:
    yield (
      f'The config that {params.model_dir} was trained with is lost: {error}'
    )
    return
  old = dict(saved.leaves())
  new = params_dict.ParamsDict(resolver.saved_params(params))
  changed = [
    f'{key} from {errors.shown(old[key])} to {errors.shown(value)}'
    for key, value in new.leaves()
    if key in old and old[key] != value and key != 'model_dir'
  ]
  if changed:
    more = len(changed) - _MOST_KEYS
    yield 'The config changes at step {} (against {}): {}{}.'.format(
      step,
      path,
      '; '.join(changed[:_MOST_KEYS]),
      f'; and {more} more' if more > 0 else '',
    )
