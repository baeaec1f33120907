"""Frozen graphs: weights inside, under their names, the same outputs."""

import collections

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving import export_options
from serving.graph import frozen, serving_graph
from tests import tiny_export

_RAW = {'apply_nms': False}
_NAS = {'multilevel_features': 'nasfpn', 'min_level': 3, 'max_level': 7}
_SPINE = {'multilevel_features': 'identity', 'min_level': 3, 'max_level': 7}
_NETWORKS = {
  'resnet': {
    # Batch norm after convolutions with a bias.
    'fpn': {'fpn_feat_dims': 8, 'use_batch_norm': True},
  },
  'separable': {
    'fpn': {'use_separable_conv': True, 'use_batch_norm': True},
    'retinanet_head': {'use_separable_conv': True},
  },
  'nasfpn': {
    'architecture': _NAS,
    'nasfpn': {'fpn_feat_dims': 8, 'num_repeats': 1},
  },
  'spinenet': {
    'architecture': dict(_SPINE, backbone='spinenet'),
    'spinenet': {'model_id': '49S'},
  },
  'mbconv': {
    'architecture': dict(_SPINE, backbone='spinenet_mbconv'),
    'spinenet_mbconv': {'model_id': '49XS'},
    'batch_norm_activation': {'activation': 'swish'},
  },
}
_SLOW = ('nasfpn', 'spinenet', 'mbconv')


def _build(params, image_size):
  options = export_options.ExportOptions(batch_size=2, image_size=image_size)
  return serving_graph.build(params, options)


def _outputs(built, checkpoint, images):
  with built.graph.as_default(), tf.Session() as session:
    tf.train.Saver(tf.global_variables()).restore(session, checkpoint)
    return session.run(built.outputs, {'Placeholder:0': images})


def _ops(graph_def):
  return collections.Counter(node.op for node in graph_def.node)


@pytest.mark.parametrize(
  'network',
  [
    pytest.param(n, marks=[pytest.mark.slow] if n in _SLOW else [])
    for n in _NETWORKS
  ],
)
def test_outputs_and_names_stay(tmp_path, network):
  levels = _NETWORKS[network].get('architecture', {'max_level': 4})
  image_size = (2 * 2 ** levels['max_level'],) * 2
  if image_size[0] < 64:
    image_size = (64, 64)
  model = tiny_export.make(
    tmp_path,
    _NETWORKS[network],
    {'postprocess': _RAW},
    image_size=image_size,
  )
  images = np.random.RandomState(1).randn(2, *image_size, 3)
  built = _build(model.params, image_size)
  before = _outputs(built, model.checkpoint, images)
  frozen_model = frozen.freeze(built, model.checkpoint)
  after = tiny_export.run(
    frozen_model.graph_def,
    {spec.key: spec.name for spec in frozen_model.outputs},
    {'Placeholder:0': images},
  )
  for key in ('raw_encoded_boxes', 'raw_scores'):
    np.testing.assert_allclose(after[key], before[key], rtol=1e-4, atol=1e-4)
  assert np.ptp(before['raw_scores']) > 0.1
  ops = _ops(frozen_model.graph_def)
  assert not set(ops) & {'VariableV2', 'VarHandleOp', 'Assign', 'RestoreV2'}
  # Each level has a class tower and a box tower; one kernel serves all levels.
  kernels = [
    node
    for node in frozen_model.graph_def.node
    if node.op == 'Const' and node.name.startswith('retinanet/class_net')
    if node.name.endswith('kernel')
  ]
  assert len(kernels) == (4 if network == 'separable' else 2)
  # Weights have the names of the checkpoint.
  saved = {name for name, _ in tf.train.list_variables(model.checkpoint)}
  weights = saved & {n.name for n in frozen_model.graph_def.node}
  assert len(weights) > 0.5 * len(saved)
  assert sum(name.endswith('moving_mean') for name in weights) > 10


def test_flat_features_stay(tmp_path):
  levels = dict(tiny_export.SMALL['architecture'])
  model = tiny_export.make(
    tmp_path, {'architecture': dict(levels, output_flat_fpn_features=True)}
  )
  frozen_model = frozen.freeze(_build(model.params, (64, 64)), model.checkpoint)
  features = tiny_export.run(
    frozen_model.graph_def,
    'RawFpnFeatures:0',
    {'Placeholder:0': np.ones([2, 64, 64, 3])},
  )
  # 8 x 8 + 4 x 4 cells with 8 channels.
  assert features.shape == (2, 640)
  assert np.ptp(features[0]) > 0
