"""Moving averages of weights: their values, where they count, late and off."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from executor import runner as runner_lib
from modeling import checkpoint, checkpoint_copy, weight_averages
from serving import export_options
from serving.graph import serving_graph
from tests import tiny_run

_ENDING = '/ExponentialMovingAverage'


def _train(directory, steps, decay, records=None):
  params = tiny_run.resolve(
    directory / 'model',
    records or tiny_run.write_data(directory),
    {
      'train': {
        'ema_decay': decay,
        'total_steps': steps,
        'save_checkpoint_seconds': 0,
        # The pauses in which one of them stays are over at once.
        'keep_checkpoints': 1,
        'keep_checkpoint_every_hours': 1e-9,
      }
    },
  )
  runner_lib.Runner(params).train()
  return params


def _values(prefix):
  reader = tf.train.load_checkpoint(prefix)
  return {
    name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
  }


@pytest.fixture(scope='module')
def averaged(tmp_path_factory):
  """A run of 3 steps with a checkpoint of each."""
  return _train(tmp_path_factory.mktemp('averaged'), 3, 0.2)


def test_values_are_those_of_the_rule(averaged):
  steps = [_values(path) for path in checkpoint.find_all(averaged.model_dir)]
  assert len(steps) == 4
  trained = [name for name in steps[0] if name + _ENDING in steps[0]]
  assert any(name.endswith('class-predict/kernel') for name in trained)
  assert not any('moving_' in name for name in trained)
  assert {name + '/Momentum' for name in trained} <= set(steps[0])
  for name in trained:
    expected = steps[0][name]
    for step in range(3):
      decay = min(0.2, (1 + step) / (10 + step))
      expected = decay * expected + (1 - decay) * steps[step + 1][name]
    found = steps[3][name + _ENDING]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
  assert any(
    np.abs(steps[3][name + _ENDING] - steps[3][name]).max() > 1e-5
    for name in trained
  )


@pytest.mark.slow
@pytest.mark.parametrize('use_ema', [True, False])
def test_what_is_served(averaged, use_ema):
  params = tiny_run.resolve(
    averaged.model_dir,
    averaged.train.train_file_pattern,
    {'eval': {'use_ema': use_ema}},
  )
  options = export_options.ExportOptions(
    input_type='image_tensor', batch_size=1, image_size=(64, 64)
  )
  served = serving_graph.build(params, options)
  prefix = checkpoint.find_latest(averaged.model_dir)
  values = _values(prefix)
  with served.restored_session(prefix) as session, served.graph.as_default():
    for variable in tf.trainable_variables():
      name = checkpoint.name_of(variable)
      expected = values[name + _ENDING if use_ema else name]
      np.testing.assert_array_equal(session.run(variable), expected)


@pytest.mark.slow
def test_evaluation_takes_them(averaged, tmp_path):
  """As a run whose weights are the averages."""
  prefix = checkpoint.find_latest(averaged.model_dir)
  values = _values(prefix)
  plain = {
    name: values.get(name + _ENDING, value)
    for name, value in values.items()
    if not name.endswith(_ENDING)
  }
  metrics = []
  for model_dir, content in (('with', values), ('plain', plain)):
    directory = tmp_path / model_dir
    directory.mkdir()
    checkpoint_copy.save(content, str(directory / 'model.ckpt-3'))
    params = tiny_run.resolve(directory, averaged.train.train_file_pattern)
    metrics.append(runner_lib.Runner(params, trains=False).evaluate())
    found = json.loads((directory / 'eval' / 'predictions.json').read_text())
    metrics[-1]['first'] = found[0]['score']
  assert metrics[0] == metrics[1]


@pytest.mark.slow
def test_late_and_off_again(tmp_path, caplog):
  records = tiny_run.write_data(tmp_path)
  params = _train(tmp_path, 1, 0.0, records)
  weights = _values(checkpoint.find_latest(params.model_dir))
  caplog.set_level('INFO')
  weight_averages.begin_or_end(params.model_dir, 0.5)
  assert 'train.ema_decay: 0.5 begins at step 1' in caplog.text
  begun = _values(checkpoint.find_latest(params.model_dir))
  assert set(weights) < set(begun)
  for name in set(begun) - set(weights):
    np.testing.assert_array_equal(begun[name], weights[name[: -len(_ENDING)]])
  caplog.clear()
  _train(tmp_path, 2, 0.5, records)
  assert 'begins' not in caplog.text
  latest = checkpoint.find_latest(params.model_dir)
  assert os.path.basename(latest) == 'model.ckpt-2'
  _train(tmp_path, 3, 0.0, records)
  assert 'train.ema_decay: 0 ends the moving averages of this run' in (
    caplog.text
  )
  latest = checkpoint.find_latest(params.model_dir)
  assert set(_values(latest)) == set(weights)
