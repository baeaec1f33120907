"""Rates and steps for another batch size than that they were made for."""

import pytest
import yaml

from configs import presets, resolver
from utils import errors

_KEYS = (
  'train.learning_rate.base_batch_size',
  'train.learning_rate.warmup_learning_rate',
  'train.learning_rate.init_learning_rate',
  'train.learning_rate.learning_rate_levels',
  'train.learning_rate.warmup_steps',
  'train.learning_rate.learning_rate_steps',
  'train.total_steps',
  'eval.num_steps_per_eval',
)
_BASE = _KEYS[0]


def _resolve(**kwargs):
  flags = {'scale_learning_rate': True, **kwargs.pop('flags', {})}
  return resolver.resolve(flags=flags, **kwargs)


def _values(resolved):
  values = dict(resolved.params.leaves())
  return [values[key] for key in _KEYS]


@pytest.mark.parametrize(
  'model, batch, expected',
  [
    (
      'retinanet',
      8,
      [8, 0.0008375, 0.01, [0.001, 0.0001], 4000, [120000, 160000]]
      + [180000, 8000],
    ),
    (
      'retinanet',
      256,
      [256, 0.0268, 0.32, [0.032, 0.0032], 125, [3750, 5000], 5625, 250],
    ),
    # Its type is cosine.
    (
      'classification',
      512,
      [512, 0.0, 0.2, [0.02, 0.002, 0.0002], 12510]
      + [[75068, 150138, 200182], 225206, 2000],
    ),
  ],
)
def test_rates_in_proportion_and_steps_in_inverse(model, batch, expected):
  resolved = _resolve(model=model, flags={'train_batch_size': batch})
  assert _values(resolved) == expected
  assert {resolved.sources[key] for key in _KEYS} == {'flag'}


def test_steps_do_not_vanish_and_those_of_the_flag_stay():
  resolved = _resolve(
    params_override='train.learning_rate.warmup_steps=0',
    flags={'train_batch_size': 1 << 20, 'train_steps': 7},
  )
  assert _values(resolved)[4:] == [0, [1, 1], 7, 1]


def test_what_was_scaled_is_not_scaled_again():
  first = _resolve(flags={'train_batch_size': 8, 'model_dir': '/m'})
  saved = resolver.saved_params(first.params)
  for flags in ({}, {'scale_learning_rate': None}, {'train_batch_size': 8}):
    assert _values(_resolve(config_file=saved, flags=flags)) == _values(first)
  # Nor is anything rounded.
  rate = 'train.learning_rate.init_learning_rate=0.12345678'
  resolved = _resolve(params_override=f'{rate},{_BASE}=64')
  assert _values(resolved)[2] == 0.12345678


@pytest.mark.parametrize('text', ['init_learning_rate', 'warmup_learning_rate'])
def test_rates_of_a_text_without_a_base_are_for_no_known_batch(text):
  override = f'train.learning_rate.{text}=0.1,train.train_batch_size=8'
  params = resolver.resolve(params_override=override).params
  assert params.train.learning_rate.base_batch_size is None
  with pytest.raises(errors.ConfigError, match='--scale_learning_rate: .*null'):
    _resolve(params_override=override)
  resolved = _resolve(params_override=f'{override},{_BASE}=4')
  assert dict(resolved.params.leaves())[_KEYS[6]] == 22500 // 2


def test_a_text_without_rates_keeps_the_base():
  for text in ({}, {'train': {'total_steps': 9}}):
    params = resolver.resolve(config_file=text).params
    assert params.train.learning_rate.base_batch_size == 64


@pytest.mark.parametrize('preset', presets.find_presets(), ids=lambda p: p.name)
def test_presets_say_what_their_rates_are_for(preset):
  with open(preset.path) as file:
    train = yaml.safe_load(file).get('train', {})
  params = resolver.resolve(config_file=preset.path).params
  assert params.train.learning_rate.base_batch_size == (
    params.train.train_batch_size
  )
  assert 'base_batch_size' in train.get('learning_rate', ['base_batch_size'])
