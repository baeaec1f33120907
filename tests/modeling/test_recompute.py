"""Recomputed activations: the same step, in less memory."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import model_builder
from modeling.architecture import recompute
from tests import golden_numbers
from tools import synthetic_batch

_BATCH = 4
_SMALL = {
  'fpn': {'fpn_feat_dims': 8},
  'nasfpn': {'fpn_feat_dims': 8, 'num_repeats': 1},
  'retinanet_head': {'num_convs': 1, 'num_filters': 8},
  'architecture': {'num_classes': 3},
  'resnet': {'resnet_depth': 10},
}
_PYRAMID_OF_3 = {
  'architecture': {'min_level': 3, 'max_level': 5},
  'retinanet_parser': {'output_size': [64, 64]},
}
_PYRAMID_OF_5 = {'retinanet_parser': {'output_size': [128, 128]}}


def _params(*overrides):
  params = golden_numbers.make_params(_SMALL)
  for override in overrides:
    params.override(override)
  return params


def _step(params, steps=1, disable_rewriting=True):
  """Variables after some steps, losses, and the graph."""
  config = tf.ConfigProto()
  options = config.graph_options.rewrite_options
  options.disable_meta_optimizer = disable_rewriting
  with tf.Graph().as_default() as graph, tf.Session(config=config) as session:
    tf.set_random_seed(1)
    images, labels = synthetic_batch.make(params, _BATCH)
    tf.train.get_or_create_global_step()
    spec = model_builder.ModelFn(params)(
      100.0 * images, labels, tf.estimator.ModeKeys.TRAIN
    )
    golden_numbers.load_weights(session)
    losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(steps)]
    variables = {v.op.name: v for v in tf.global_variables()}
    return session.run(variables), losses, graph


def _assert_same_step(params, changes, tolerance=1e-5, **kwargs):
  """Trains one step without and with `changes` of the train block."""
  want, want_losses, plain_graph = _step(params)
  params.override({'train': changes})
  got, got_losses, graph = _step(params, **kwargs)
  np.testing.assert_allclose(got_losses, want_losses, rtol=1e-6)
  # A checkpoint does not know how it was trained.
  assert set(got) == set(want)
  # After one step a slot is the gradient.
  slots = [name for name in want if name.endswith('/Momentum')]
  assert _relative_norm(got, want, slots) < 1e-5
  largest = max(np.abs(want[name]).max() for name in slots)
  for name, value in want.items():
    # The gradient of a bias before batch norm is 0 but for rounding.
    atol = tolerance * max(np.abs(value).max(), 0.01 * largest)
    np.testing.assert_allclose(
      got[name], value, rtol=0, atol=atol, err_msg=name
    )
  return plain_graph, graph


def _relative_norm(got, want, names):
  difference = np.concatenate([(got[n] - want[n]).ravel() for n in names])
  norm = np.linalg.norm(np.concatenate([want[n].ravel() for n in names]))
  assert norm > 0
  return np.linalg.norm(difference) / norm


def _num_ops(graph, op_type):
  return sum(op.type == op_type for op in graph.get_operations())


def test_gradients_and_batch_norm():
  params = _params(_PYRAMID_OF_3)
  plain_graph, graph = _assert_same_step(params, {'recompute_grad': True})
  assert _num_ops(graph, 'FusedBatchNormV3') > _num_ops(
    plain_graph, 'FusedBatchNormV3'
  )


@pytest.mark.slow
@pytest.mark.parametrize(
  'override',
  [
    {'architecture': {'backbone': 'spinenet'}, 'spinenet': {'model_id': '49S'}},
    {
      'architecture': {'backbone': 'spinenet_mbconv'},
      'spinenet_mbconv': {'model_id': '49'},
    },
    {'architecture': {'multilevel_features': 'nasfpn'}},
    {
      'architecture': {'multilevel_features': 'nasfpn'},
      'nasfpn': {'block_fn': 'bottleneck'},
    },
  ],
)
def test_gradients_of_large_networks(override):
  params = _params(_PYRAMID_OF_5, override)
  if 'nasfpn' not in override['architecture'].values():
    params.override({'architecture': {'multilevel_features': 'identity'}})
  # Rounding grows on the way through dozens of batch norms.
  _assert_same_step(params, {'recompute_grad': True}, tolerance=1e-4)


@pytest.mark.parametrize(
  'override,tolerance',
  [
    (
      {
        'dropblock': {'dropblock_keep_prob': 0.8, 'dropblock_size': 2},
        'resnet': {'init_drop_connect_rate': 0.5},
      },
      1e-5,
    ),
    # Rounding grows on the way through dozens of batch norms.
    ({'architecture': {'backbone': 'efficientnet-b0'}}, 1e-4),
  ],
)
@pytest.mark.slow
def test_random_numbers_are_those_of_the_forward_pass(override, tolerance):
  params = _params(_PYRAMID_OF_3, override, {'train': {'seed': 1}})
  _, graph = _assert_same_step(params, {'recompute_grad': True}, tolerance)
  assert _num_ops(graph, 'StatelessRandomUniform')


@pytest.mark.slow
def test_together_with_parts_of_a_batch():
  params = _params(
    _PYRAMID_OF_3, {'batch_norm_activation': {'batch_norm_trainable': False}}
  )
  _assert_same_step(
    params, {'recompute_grad': True, 'gradient_accumulation_steps': 2}
  )


@pytest.mark.slow
def test_rewriting_the_graph_changes_nothing():
  _assert_same_step(
    _params(_PYRAMID_OF_3),
    {'recompute_grad': True},
    tolerance=1e-4,
    disable_rewriting=False,
  )


def test_copies_wait_for_the_gradient_and_for_each_other():
  with tf.Graph().as_default():
    mark = recompute.Recompute(enabled=True)
    images = tf.placeholder(tf.float32, [None, 3])
    weights = tf.get_variable('weights', [3, 3], use_resource=True)
    first = mark(tf.tanh(images @ weights), [images], is_training=True)
    second = mark(2.0 * tf.sigmoid(first), [first], is_training=True)
    loss = tf.reduce_sum(second)
    (gradient,) = tf.gradients(loss, weights.handle)
    copies = {
      op.type: op
      for op in tf.get_default_graph().get_operations()
      if op.type in ('Tanh', 'Sigmoid') and 'gradients' in op.name
    }
    assert set(copies) == {'Tanh', 'Sigmoid'}
    (fresh,) = copies['Sigmoid'].inputs
    waits_for = [op.name for op in fresh.op.control_inputs]
    assert len(waits_for) == 1
    assert waits_for[0].startswith('gradients/Sum_grad/')
    for fresh in copies['Tanh'].inputs[0].op.inputs:
      # Here the gradient is what the last copy ends in.
      assert 'SigmoidGrad' in ' '.join(
        op.type for op in fresh.op.control_inputs
      )
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      x = np.arange(6, dtype=np.float32).reshape(2, 3) / 10
      w, value = session.run([weights, gradient], {images: x})
  tanh = np.tanh(x @ w)
  sigmoid = 1 / (1 + np.exp(-tanh))
  want = x.T @ (2.0 * sigmoid * (1 - sigmoid) * (1 - tanh**2))
  np.testing.assert_allclose(value, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('enabled,is_training', [(False, True), (True, False)])
def test_nothing_is_marked_without_need(enabled, is_training):
  with tf.Graph().as_default():
    images = tf.zeros([2, 3])
    outputs = tf.sin(images)
    mark = recompute.Recompute(enabled)
    assert mark(outputs, [images], is_training) is outputs


def test_a_graph_that_is_no_longer_used_is_freed():
  def build():
    with tf.Graph().as_default() as graph:
      images = tf.placeholder(tf.float32, [2, 3])
      mark = recompute.Recompute(enabled=True)
      outputs = mark(tf.sin(tf.tanh(images)), [images], is_training=True)
      assert tf.gradients(outputs, images)
      return weakref.ref(graph)

  graph = build()
  gc.collect()
  assert graph() is None
