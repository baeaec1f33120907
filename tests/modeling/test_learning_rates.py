"""Learning rates at given steps, worked out by hand or golden."""

import logging
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import learning_rates
from tests import golden_numbers
from utils import errors


def _params(**changes):
  params = {
    'type': 'step',
    'warmup_learning_rate': 0.0067,
    'warmup_steps': 500,
    'init_learning_rate': 0.08,
    'learning_rate_levels': [0.008, 0.0008],
    'learning_rate_steps': [15000, 20000],
  }
  params.update(changes)
  return types.SimpleNamespace(**params)


def _values(params, steps, total_steps=22500):
  schedule = learning_rates.learning_rate_generator(params, total_steps)
  with tf.Graph().as_default(), tf.Session() as session:
    step = tf.placeholder(tf.int64, [])
    learning_rate = schedule(step)
    assert learning_rate.dtype == tf.float32
    assert learning_rate.shape.as_list() == []
    return [session.run(learning_rate, {step: i}) for i in steps]


def test_step_schedule():
  steps = [0, 250, 499, 500, 14999, 15000, 19999, 20000, 99999]
  want = [0.0067, 0.04335, 0.0798534, 0.08, 0.08, 0.008, 0.008, 8e-4, 8e-4]
  np.testing.assert_allclose(_values(_params(), steps), want, rtol=1e-6)


def test_cosine_schedule():
  params = _params(type='cosine', warmup_steps=100)
  got = _values(params, [0, 50, 100, 200, 300, 400, 500], total_steps=500)
  half = 0.08 * (np.sqrt(0.5) + 1) / 2
  # After the last step it rises again.
  want = [0.0067, 0.04335, 0.08, half, 0.04, 0.08 - half, 0.0]
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-9)
  again = _values(params, [600], total_steps=500)
  np.testing.assert_allclose(again, [0.08 - half], rtol=1e-5)


@pytest.mark.parametrize('name', ['step', 'cosine'])
def test_without_warm_up_the_first_step_has_the_initial_rate(name):
  got = _values(_params(type=name, warmup_steps=0), [0])
  np.testing.assert_allclose(got, [0.08], rtol=1e-6)


def test_level_applies_during_warm_up():
  params = _params(learning_rate_levels=[0.5], learning_rate_steps=[100])
  got = _values(params, [99, 100, 400])
  want = [0.0067 + 99 / 500 * (0.08 - 0.0067), 0.5, 0.5]
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_last_reached_level_of_the_list_counts():
  params = _params(
    learning_rate_levels=[0.1, 0.2], learning_rate_steps=[2000, 1000]
  )
  np.testing.assert_allclose(
    _values(params, [1500, 3000]), [0.2, 0.2], rtol=1e-6
  )


@pytest.mark.parametrize(
  'levels,steps', [([0.5, 0.25], [10]), ([0.5], [10, 20])]
)
def test_surplus_of_the_longer_list_is_ignored_aloud(levels, steps, caplog):
  params = _params(learning_rate_levels=levels, learning_rate_steps=steps)
  with caplog.at_level(logging.WARNING):
    got = _values(params, [10, 1000])
  np.testing.assert_allclose(got, [0.5, 0.5])
  assert 'learning_rate_levels' in caplog.text
  assert str(steps) in caplog.text


def test_cosine_shorter_than_its_warm_up_stays_finite():
  params = _params(type='cosine', warmup_steps=10)
  got = _values(params, [5, 10], total_steps=10)
  np.testing.assert_allclose(got, [0.04335, 0.08], rtol=1e-6)


def test_unknown_type_names_the_known_ones():
  with pytest.raises(errors.ConfigError) as info:
    learning_rates.learning_rate_generator(_params(type='cosin'), 10)
  message = str(info.value)
  assert 'train.learning_rate.type' in message
  assert 'cosine, step' in message
  assert "Did you mean 'cosine'?" in message


@pytest.mark.parametrize(
  'name,changes,total_steps',
  [('lr_step_default', {}, 22500), ('lr_cosine', {'type': 'cosine'}, 1000)],
)
def test_golden(name, changes, total_steps):
  want = golden_numbers.expected(name + '.json')
  got = _values(_params(**changes), want['at'], total_steps)
  assert golden_numbers.relative_error(want['lr'], got) < 1e-5
