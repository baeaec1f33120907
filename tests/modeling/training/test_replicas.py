"""Losses of several replicas are the loss of their global batch."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from modeling import factory
from modeling.training import replicas
from tests import golden_numbers

_BATCH = 4
# The second half has none, which by itself would be divided by 1.
_NUM_POSITIVES = np.float32([5, 2, 0, 0])


def _arrays():
  rng = np.random.RandomState(0)
  shapes = {'cls_outputs': 12, 'box_outputs': 8, 'box_targets': 8}
  arrays = {
    name: rng.randn(_BATCH, 3, 2, depth).astype(np.float32)
    for name, depth in shapes.items()
  }
  arrays['cls_targets'] = rng.randint(-2, 4, [_BATCH, 3, 2, 2]).astype(np.int32)
  arrays['num_positives'] = _NUM_POSITIVES
  return arrays


def _losses(arrays, momentum=0.0, is_training=True):
  params = golden_numbers.make_params(
    {
      'architecture': {'num_classes': 6},
      'retinanet_loss': {'normalizer_momentum': momentum},
    }
  )
  outputs = {name: {3: arrays[name]} for name in ('cls_outputs', 'box_outputs')}
  labels = {name: {3: arrays[name]} for name in ('cls_targets', 'box_targets')}
  labels['num_positives'] = arrays['num_positives']
  model = factory.model_generator(params)
  losses = model.build_losses(outputs, labels, is_training)
  (gradient,) = tf.gradients(losses['model_loss'], outputs['cls_outputs'][3])
  return losses, gradient


def _run(fetches):
  config = tf.ConfigProto(device_count={'CPU': 2})
  with tf.Session(config=config) as session:
    session.run(tf.global_variables_initializer())
    return session.run(fetches)


def _whole_batch():
  return {name: tf.constant(a) for name, a in _arrays().items()}


def _half_of_a_replica():
  replica = tf.distribute.get_replica_context().replica_id_in_sync_group
  return {
    name: tf.constant(a.reshape((2, _BATCH // 2) + a.shape[1:]))[replica]
    for name, a in _arrays().items()
  }


def _on_two_replicas(**kwargs):
  """Losses and gradients of both."""
  strategy = tf.distribute.MirroredStrategy(['/cpu:0', '/cpu:1'])
  with strategy.scope():
    losses, gradient = strategy.experimental_run_v2(
      lambda: _losses(_half_of_a_replica(), **kwargs)
    )
  unwrap = strategy.experimental_local_results
  return {k: unwrap(v) for k, v in losses.items()}, unwrap(gradient)


@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_mean_over_replicas_is_the_loss_of_the_global_batch(momentum):
  with tf.Graph().as_default():
    want, want_gradient = _run(_losses(_whole_batch(), momentum))
  with tf.Graph().as_default():
    losses, gradients = _run(_on_two_replicas(momentum=momentum))
  for name in ('cls_loss', 'box_loss', 'model_loss'):
    assert np.mean(losses[name]) == pytest.approx(want[name], rel=1e-5)
    # The replica without positives weighs no more for it.
    assert losses[name][0] != pytest.approx(want[name], rel=0.01)
  # An optimizer applies the mean of the replicas' gradients.
  np.testing.assert_allclose(
    np.concatenate(gradients) / 2, want_gradient, rtol=1e-5, atol=1e-8
  )


def test_evaluation_divides_by_its_own_positives():
  with tf.Graph().as_default():
    got, _ = _run(_on_two_replicas(is_training=False))
  for i, value in enumerate(got['cls_loss']):
    with tf.Graph().as_default():
      half = slice(2 * i, 2 * i + 2)
      arrays = {n: tf.constant(a[half]) for n, a in _arrays().items()}
      want, _ = _run(_losses(arrays))
    assert value == pytest.approx(want['cls_loss'], rel=1e-5)


@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_cores_of_a_tpu_share_the_number_of_positives(momentum):
  """What they compute needs a TPU; the one sum is that of the positives."""
  with tf.Graph().as_default(), tpu_function.tpu_shard_context(8):
    assert replicas.num_replicas() == 8
    assert not replicas.is_replicated()
    _losses(_whole_batch(), momentum)
    operations = tf.get_default_graph().get_operations()
    sums = [op for op in operations if op.type == 'CrossReplicaSum']
  assert len(sums) == 1
  assert sums[0].inputs[0].shape == ()


def test_one_device_adds_nothing():
  with tf.Graph().as_default():
    value = tf.constant(3.0)
    assert replicas.num_replicas() == 1
    assert replicas.mean_over_replicas(value) is value
