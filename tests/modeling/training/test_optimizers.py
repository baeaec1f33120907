"""Every optimizer's steps against its update rule in numpy."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.training import optimizers
from utils import errors

_GRADIENTS = [2.0, -1.0, 0.5]
_LEARNING_RATE = 0.1


def _momentum(momentum):
  value, velocity = 1.0, 0.0
  for g in _GRADIENTS:
    velocity = momentum * velocity + g
    value -= _LEARNING_RATE * velocity
  return value


def _adam(momentum):
  del momentum
  value, m, v = 1.0, 0.0, 0.0
  for t, g in enumerate(_GRADIENTS, 1):
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    rate = _LEARNING_RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    value -= rate * m / (np.sqrt(v) + 1e-8)
  return value


def _adadelta(momentum):
  del momentum
  value, squares, updates = 1.0, 0.0, 0.0
  for g in _GRADIENTS:
    squares = 0.95 * squares + 0.05 * g * g
    update = np.sqrt(updates + 1e-8) / np.sqrt(squares + 1e-8) * g
    updates = 0.95 * updates + 0.05 * update * update
    value -= _LEARNING_RATE * update
  return value


def _adagrad(momentum):
  del momentum
  value, squares = 1.0, 0.1
  for g in _GRADIENTS:
    squares += g * g
    value -= _LEARNING_RATE * g / np.sqrt(squares)
  return value


def _rmsprop(momentum):
  value, squares, velocity = 1.0, 1.0, 0.0
  for g in _GRADIENTS:
    squares = 0.9 * squares + 0.1 * g * g
    step = _LEARNING_RATE * g / np.sqrt(squares + 0.001)
    velocity = momentum * velocity + step
    value -= velocity
  return value


@pytest.mark.parametrize('momentum', [0.9, 0.3])
@pytest.mark.parametrize(
  'name,rule',
  [
    ('momentum', _momentum),
    ('adam', _adam),
    ('adadelta', _adadelta),
    ('adagrad', _adagrad),
    ('rmsprop', _rmsprop),
  ],
)
def test_update_rule(name, rule, momentum):
  params = types.SimpleNamespace(type=name, momentum=momentum)
  with tf.Graph().as_default(), tf.Session() as session:
    variable = tf.get_variable('v', initializer=1.0)
    gradient = tf.placeholder(tf.float32, [])
    optimizer = optimizers.optimizer_factory(params)(
      tf.constant(_LEARNING_RATE)
    )
    train_op = optimizer.apply_gradients([(gradient, variable)])
    session.run(tf.global_variables_initializer())
    for value in _GRADIENTS:
      session.run(train_op, {gradient: value})
    got = session.run(variable)
  np.testing.assert_allclose(got, rule(momentum), rtol=1e-5)


def test_unknown_type_names_the_known_ones():
  params = types.SimpleNamespace(type='sgd', momentum=0.9)
  with pytest.raises(errors.ConfigError) as info:
    optimizers.optimizer_factory(params)
  message = str(info.value)
  assert "train.optimizer.type: 'sgd'" in message
  assert 'adadelta, adagrad, adam, momentum, rmsprop' in message


@pytest.mark.parametrize('clip_norm', [0.5, 5.0, 100.0])
@pytest.mark.parametrize('special', [0.0, 3.0, np.inf, np.nan])
def test_clipping_is_that_of_tensorflow(special, clip_norm):
  gradients = [
    tf.constant([[special, -4.0]]),
    None,
    tf.constant([0.5], tf.float32),
  ]
  expected, _ = tf.clip_by_global_norm(gradients, clip_norm)
  clipped, _ = optimizers.clip_by_global_norm(gradients, clip_norm)
  assert clipped[1] is None
  with tf.Session() as session:
    for ours, theirs in zip(clipped[::2], expected[::2]):
      np.testing.assert_allclose(*session.run([ours, theirs]), rtol=1e-6)


def test_no_gradient_clips_to_zero():
  clipped, _ = optimizers.clip_by_global_norm([tf.zeros([3])], 1.0)
  with tf.Session() as session:
    assert session.run(clipped[0]).tolist() == [0, 0, 0]


def _scaled_step(gradient_factor):
  """A step of gradient descent with a loss scale: all variables after it."""
  with tf.Graph().as_default(), tf.Session() as session:
    global_step = tf.train.get_or_create_global_step()
    variable = tf.get_variable('x', initializer=1.0)
    optimizer = optimizers.with_loss_scale(
      tf.train.MomentumOptimizer(_LEARNING_RATE, 0.9)
    )
    pairs = optimizer.compute_gradients(gradient_factor * variable, [variable])
    train_op = optimizer.apply_gradients(pairs, global_step=global_step)
    session.run(tf.global_variables_initializer())
    session.run(train_op)
    return session.run({v.op.name: v for v in tf.global_variables()})


def test_loss_scale_leaves_gradients_as_they_are():
  values = _scaled_step(2.0)
  assert values == {
    'x': pytest.approx(0.8),
    'x/Momentum': pytest.approx(2.0),
    'global_step': 1,
    optimizers.LOSS_SCALE: 2.0**15,
    'good_steps': 1,
  }


def test_step_that_overflows_is_left_out():
  # 2**15 times as much is beyond float32.
  values = _scaled_step(1e36)
  assert values == {
    'x': 1.0,
    'x/Momentum': 0.0,
    'global_step': 0,
    optimizers.LOSS_SCALE: 2.0**14,
    'good_steps': 0,
  }
