"""Tests of the memory that a training step takes."""

import logging

import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from executor import step_memory
from utils import errors

_MB = 2**20


def _chain(num_images):
  """Three activations of 1 MB an image, of which the first is read again."""
  images = tf.placeholder(tf.float32, [num_images, 2**18])
  first = tf.exp(images)
  second = tf.reshape(tf.exp(first), [-1])
  third = tf.exp(second)
  return tf.reduce_sum(third) + tf.reduce_sum(first)


def test_tensors_live_until_their_last_reader():
  with tf.Graph().as_default() as graph:
    _chain(4)
  # The input goes when the first is there; then first, second and third.
  assert step_memory.largest(graph) == 3 * 4 * _MB


def test_what_the_backward_pass_reads_lives_until_then():
  with tf.Graph().as_default() as graph:
    images = tf.placeholder(tf.float32, [4, 2**18])
    outputs = [images]
    for _ in range(3):
      outputs.append(tf.exp(outputs[-1]))
    tf.gradients(outputs[-1], images)
  # Three results of exp, the gradient of the last, and its product.
  assert 5 * 4 * _MB <= step_memory.largest(graph) <= 6 * 4 * _MB


def _check(available, settings, num_images=64, num_weights=2**18):
  params = resolver.resolve(params_override={'train': settings}).params
  with tf.Graph().as_default() as graph:
    tf.get_variable('weights', [num_weights])
    _chain(num_images)
  step_memory.check(params, graph, available)


def test_a_step_that_fits_is_told(caplog):
  with caplog.at_level(logging.INFO):
    _check(2 * 2**30, {'train_batch_size': 64})
  (line,) = [r.getMessage() for r in caplog.records]
  # 0.50 + 64 x (3 x 1.14 + 8.6) MB and copies of 1 MB of weights.
  assert line == (
    'Memory of a training step: about 1.2 GB, and this machine has 2.0 GB.'
  )


@pytest.mark.parametrize(
  'settings,proposed',
  [({}, 28), ({'gradient_accumulation_steps': 16}, 16)],
)
def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(
  settings, proposed
):
  with pytest.raises(errors.ConfigError) as caught:
    _check(2**30, {'train_batch_size': 64, **settings})
  assert (
    'train.train_batch_size: a training step of 64 images of 640 x 640'
    in (str(caught.value))
  )
  assert f'Set it to {proposed} or less' in str(caught.value)
  _check(2**30, {'train_batch_size': proposed}, num_images=proposed)


def test_no_batch_fits():
  with pytest.raises(errors.ConfigError, match='Not even one image fits'):
    _check(2**30, {'train_batch_size': 64}, num_weights=2**27)


def test_memory_of_a_container(tmp_path, monkeypatch):
  limit = tmp_path / 'limit'
  monkeypatch.setattr(
    step_memory, '_LIMIT_FILES', [str(tmp_path / 'none'), str(limit)]
  )
  limit.write_text('max\n')
  whole = step_memory.of_machine()
  assert whole > 2**30
  limit.write_text('{}\n'.format(2**29))
  assert step_memory.of_machine() == 2**29
