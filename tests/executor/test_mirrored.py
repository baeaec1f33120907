"""Several replicas train as one device does."""

import json
import os
import subprocess

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from executor import runner as runner_lib
from tests import programs, record_factory, tiny_run, two_stage_batch

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
_STEPS = 3
_SETTINGS = {
  'enable_summary': True,
  'batch_norm_activation': {'use_sync_bn': True},
}
_TRAIN = {'total_steps': _STEPS, 'train_batch_size': 4}


def _run_mirrored(model_dir, config):
  process = subprocess.run(
    [
      *programs.PYTHON,
      '-m',
      'tests.executor.mirrored_run',
      str(model_dir),
      json.dumps(config),
    ],
    cwd=os.path.abspath(_ROOT),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
    timeout=560,
  )
  assert process.returncode == 0, process.stderr[-3000:]
  return json.loads(process.stdout.splitlines()[-1])


def _weights(path):
  reader = tf.train.load_checkpoint(str(path))
  return {
    name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
  }


def _scalars(model_dir):
  """{(name, step): value} of the summaries of every step."""
  values = {}
  for path in model_dir.glob('events.*.v2'):
    for event in tf.train.summary_iterator(str(path)):
      for value in event.summary.value:
        values[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
  return values


def _with_biased_variance(moving_variance, like):
  """What one device, whose layers are fused, would have without its factor.

  Fused layers keep n / (n - 1) times the variance of n values, synchronised
  ones the variance, as in the original. n is 4 images' pixels at some stride.
  """
  initial = 0.997**_STEPS
  candidates = [
    initial + (moving_variance - initial) * (n - 1) / n
    for n in (4 * side**2 for side in (32, 16, 8, 4, 2))
  ]
  return min(candidates, key=lambda value: np.abs(value - like).max())


def _tiny(tmp_path, settings):
  # The images differ, so that each replica has batch statistics and a number
  # of positive anchors of its own.
  records = tiny_run.write_data(tmp_path)
  return tiny_run.overrides(records, {'train': _TRAIN}, settings)


def _train_both(tmp_path, config, only_replicated=()):
  """Trains one device and two replicas from the same weights.

  Args:
    tmp_path: gets the model directories 'one' and 'two'.
    config: of both runs, a nested dict.
    only_replicated: more of its block `train` for the replicas.

  Returns:
    Weights at the beginning, of the one device and of the two replicas by
    name; metrics of the two.
  """
  params = resolver.resolve(
    params_override=config, flags={'model_dir': str(tmp_path / 'one')}
  ).params
  runner_lib.Runner(params).train()
  # A checkpoint to start from makes the initial weights equal.
  start = str(tmp_path / 'one' / 'model.ckpt-0')
  train = {**config['train'], 'checkpoint': {'path': start}}
  train.update(only_replicated)
  metrics = _run_mirrored(tmp_path / 'two', {**config, 'train': train})
  one, two = [
    _weights(tmp_path / name / f'model.ckpt-{_STEPS}')
    for name in ('one', 'two')
  ]
  return _weights(start), one, two, metrics


@pytest.mark.slow
def test_two_replicas_train_as_one_device_with_the_same_global_batch(tmp_path):
  settings = {
    # Without the kinks of ReLU: a value within rounding of one can turn a
    # hundredth of a gradient.
    'batch_norm_activation': {'use_sync_bn': True, 'activation': 'swish'},
    'enable_summary': True,
    'retinanet_loss': {'normalizer_momentum': 0.9},
  }
  initial, one, two, metrics = _train_both(tmp_path, _tiny(tmp_path, settings))
  losses = [_scalars(tmp_path / name) for name in ('one', 'two')]
  assert set(losses[0]) == set(losses[1])
  for step in range(_STEPS):
    for name in ('cls_loss', 'box_loss', 'model_loss', 'gradient_norm'):
      assert losses[1][name, step] == pytest.approx(
        losses[0][name, step], rel=1e-4
      )
    # Its mean over the replicas.
    assert losses[1]['moving_normalizer', step] == pytest.approx(
      losses[0]['moving_normalizer', step] / 2
    )
  assert set(one) == set(two)
  moved = [name for name in one if not np.array_equal(one[name], initial[name])]
  assert len(moved) > 100
  for name, value in one.items():
    if name.endswith('moving_variance'):
      value = _with_biased_variance(value, two[name])
    if not name.startswith('moving_normalizer'):
      # Of the tensor: rounding tells most of single values near 0.
      difference = np.linalg.norm(two[name] - value)
      assert difference <= 1e-4 * np.linalg.norm(value) + 1e-5, name
  assert metrics['ARmax100'] >= 0


@pytest.mark.slow
def test_replicas_clip_the_gradient_of_the_whole_batch(tmp_path):
  # With all that saves memory.
  _, one, two, _ = _train_both(
    tmp_path,
    _tiny(
      tmp_path,
      {
        'batch_norm_activation': {'batch_norm_trainable': False},
        # Below the norm of every step.
        'train': {'gradient_clip_norm': 0.5, 'ema_decay': 0.5},
      },
    ),
    {
      'gradient_accumulation_steps': 2,
      'recompute_grad': True,
      'mixed_precision': True,
    },
  )
  slots = [one[name] for name in one if name.endswith('/Momentum')]
  averages = [k for k in one if k.endswith('/ExponentialMovingAverage')]
  assert len(averages) == len(slots)
  norm = np.sqrt(sum(np.sum(np.square(slot)) for slot in slots))
  # Three gradients of that norm, alike, with a momentum of 0.9.
  assert 0.5 < norm < 0.5 * (1 + 0.9 + 0.81)
  assert two.pop('good_steps') == _STEPS
  del two['current_loss_scale']
  assert set(two) == set(one)
  for name, value in one.items():
    # Averages begin with initial values that only the one run trained from.
    atol = 5e-3 if name in averages else 1e-6
    np.testing.assert_allclose(
      two[name], value, rtol=1e-4, atol=atol, err_msg=name
    )


@pytest.mark.slow
def test_two_replicas_train_masks(tmp_path):
  records = record_factory.write_records(
    tmp_path / 'set.tfrecord', map(record_factory.with_mask, range(7))
  )
  config = two_stage_batch.merged(
    two_stage_batch.SMALL,
    _SETTINGS,
    {
      'resnet': {'resnet_depth': 10},
      # Chance leaves out no anchor, nor any of the 64 candidates.
      'maskrcnn_parser': {
        'output_size': [64, 64],
        'rpn_batch_size_per_im': 4096,
      },
      'train': {
        **_TRAIN,
        'seed': 1,
        'learning_rate': {'warmup_learning_rate': 0.0001},
        'train_file_pattern': records,
      },
      'eval': {'eval_batch_size': 3, 'eval_file_pattern': records},
    },
  )
  _, one, two, metrics = _train_both(tmp_path, config)
  assert set(one) == set(two)
  losses = [_scalars(tmp_path / name) for name in ('one', 'two')]
  for name in ('rpn_score_loss', 'fast_rcnn_class_loss'):
    assert losses[1][name, 0] == pytest.approx(losses[0][name, 0], rel=1e-3)
  # Each replica's are means over its own objects.
  for name in ('rpn_box_loss', 'fast_rcnn_box_loss', 'mask_loss'):
    for step in range(_STEPS):
      assert losses[1][name, step] == pytest.approx(
        losses[0][name, step], rel=0.5
      )
  assert metrics['mask_AP'] >= 0
