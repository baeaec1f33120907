"""Recomputed activations: the same step, in less memory."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import model_builder
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
    images, labels = synthetic_batch.make(params, _BATCH)
    tf.train.get_or_create_global_step()
    spec = model_builder.ModelFn(params)(
      100.0 * images, labels, tf.estimator.ModeKeys.TRAIN
    )
    golden_numbers.load_weights(session)
    losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(steps)]
    variables = {v.op.name: v for v in tf.global_variables()}
    return session.run(variables), losses, graph


def _assert_same_step(params, recomputed, tolerance=1e-5, **kwargs):
  want, want_losses, plain_graph = _step(params)
  params.override({'train': recomputed})
  got, got_losses, graph = _step(params, **kwargs)
  np.testing.assert_allclose(got_losses, want_losses, rtol=1e-6)
  # Names, too: a checkpoint does not know how it was trained.
  assert list(got) == list(want) or recomputed.keys() != {'recompute_grad'}
  assert set(got) == set(want)
  # After one step a slot is the gradient. That of a bias before batch norm is
  # 0 but for rounding.
  largest = max(
    np.abs(v).max() for name, v in want.items() if name.endswith('/Momentum')
  )
  for name, value in want.items():
    atol = tolerance * max(np.abs(value).max(), 1e-3 * largest)
    np.testing.assert_allclose(
      got[name], value, rtol=0, atol=atol, err_msg=name
    )
  return plain_graph, graph


def _num_ops(graph, op_type):
  return sum(op.type == op_type for op in graph.get_operations())


@pytest.mark.parametrize(
  'override',
  [
    _PYRAMID_OF_3,
    {
      'architecture': {'multilevel_features': 'nasfpn'},
      'nasfpn': {'block_fn': 'bottleneck'},
      **_PYRAMID_OF_5,
    },
  ],
)
def test_gradients_and_batch_norm_of_resnet(override):
  params = _params(_PYRAMID_OF_5, override)
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
  ],
)
def test_gradients_of_large_networks(override):
  params = _params(_PYRAMID_OF_5, override)
  if 'nasfpn' not in override['architecture'].values():
    params.override({'architecture': {'multilevel_features': 'identity'}})
  _assert_same_step(params, {'recompute_grad': True})
