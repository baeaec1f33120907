"""Tests of what is warned of before a training."""

import pytest

from configs import resolver
from executor import run_start, run_warnings

_FITTING = {
  'train': {
    'train_batch_size': 64,
    'total_steps': 22500,
  }
}


def _warnings(settings, num_images=100_000, step=0):
  params = resolver.resolve(config_file=_FITTING, params_override=settings)
  start = run_start.Start(num_files=1, num_images=num_images, step=step)
  return list(run_warnings.find(params.params, start))


@pytest.mark.parametrize('num_images', [100_000, None])
def test_the_defaults_are_meant(num_images):
  assert _warnings({}, num_images) == []


@pytest.mark.parametrize(
  'settings,words',
  [
    (
      {'train': {'train_batch_size': 8}},
      'init_learning_rate: 0.08 is 8 times what train.train_batch_size: 8 has '
      'in proportion, 0.01 (by train.learning_rate.base_batch_size 0.08 is for '
      '64)',
    ),
    (
      {'train': {'learning_rate': {'init_learning_rate': 0.16}}},
      'init_learning_rate: 0.16 is 2 times what train.train_batch_size: 64 has '
      'in proportion, 0.08 (by the defaults 0.08 is for 64)',
    ),
    (
      {
        'train': {
          'train_batch_size': 8,
          'learning_rate': {'init_learning_rate': 0.2, 'base_batch_size': 16},
        }
      },
      'init_learning_rate: 0.2 is 2 times',
    ),
    (
      {'train': {'train_batch_size': 8, 'gradient_clip_norm': 10.0}},
      'init_learning_rate: 0.08 is 8 times',
    ),
    (
      {
        'train': {
          'total_steps': 400,
          'learning_rate': {'type': 'cosine'},
        }
      },
      'warmup_steps: 500 is not below train.total_steps: 400',
    ),
    (
      {'train': {'total_steps': 20000}},
      'learning_rate_steps: 20000 is not below train.total_steps: 20000',
    ),
  ],
)
def test_one_line_for_a_schedule_that_does_not_fit(settings, words):
  (line,) = _warnings(settings)
  assert line.startswith('train.learning_rate.') and words in line


@pytest.mark.parametrize(
  'settings',
  [
    {'train': {'train_batch_size': 16, 'gradient_clip_norm': 10.0}},
    {'train': {'train_batch_size': 8, 'optimizer': {'type': 'adam'}}},
    {
      'train': {
        'train_batch_size': 8,
        'learning_rate': {'init_learning_rate': 0.2, 'base_batch_size': 8},
      }
    },
    {'train': {'total_steps': 600, 'learning_rate': {'type': 'cosine'}}},
  ],
)
def test_a_schedule_that_fits(settings):
  assert _warnings(settings) == []


def test_more_epochs_than_anybody_means():
  (line,) = _warnings({}, num_images=296)
  assert '22500 steps are 4865 epochs of the 296 images' in line
  assert '463 would be 100' in line


def test_a_resumed_run_with_another_config(tmp_path):
  model_dir = {'model_dir': str(tmp_path)}
  before = {**model_dir, 'eval': {'suffix': '_old'}}
  resolver.save_params(
    resolver.resolve(config_file=_FITTING, params_override=before).params,
    str(tmp_path),
  )
  assert _warnings(before, step=7) == []
  # Nothing was trained, so nothing changes.
  assert _warnings(model_dir) == []
  changes = {**model_dir, 'resnet': {'resnet_depth': 18}}
  (line,) = _warnings(changes, step=7)
  assert line.startswith('The config changes at step 7 (against ')
  assert line.endswith(
    "eval.suffix from '_old' to ''; resnet.resnet_depth from 50 to 18."
  )
  (tmp_path / 'params.yaml').write_text('a: [')
  (line,) = _warnings(model_dir, step=7)
  assert 'params.yaml' in line and 'Not valid YAML' in line
