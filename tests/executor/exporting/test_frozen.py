"""Frozen graphs: weights inside, batch norms folded, the same outputs."""

import collections

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from executor.exporting import fold_batch_norm, frozen
from modeling.serving import serving_graph
from tests import tiny_export
from utils import errors

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
_SLOW = ('spinenet', 'mbconv')


def _build(params, image_size, batch_size=2):
  return serving_graph.build(params, 'raw_image_tensor', batch_size, image_size)


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
def test_outputs_stay_and_batch_norms_go(tmp_path, network):
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
  folded = frozen.freeze(built, model.checkpoint)
  after = tiny_export.run(
    folded.graph_def, folded.outputs, {'Placeholder:0': images}
  )
  for key in ('raw_encoded_boxes', 'raw_scores'):
    np.testing.assert_allclose(after[key], before[key], rtol=1e-4, atol=1e-4)
  assert np.ptp(before['raw_scores']) > 0.1
  ops = _ops(folded.graph_def)
  num_levels = levels['max_level'] - 3 + 1
  # Only those of the head, whose kernels all levels share.
  assert ops['FusedBatchNormV3'] == 2 * num_levels
  assert not set(ops) & {'VariableV2', 'VarHandleOp', 'Assign', 'RestoreV2'}
  # Each level has a class tower and a box tower; one kernel serves all levels.
  kernels = [
    node
    for node in folded.graph_def.node
    if node.op == 'Const' and node.name.startswith('retinanet/class_net')
    if node.name.endswith('kernel')
  ]
  assert len(kernels) == (4 if network == 'separable' else 2)
  assert sorted(set(folded.weights)) == sorted(folded.weights)


def test_bias_before_a_shared_kernels_batch_norm_goes_into_the_mean(tmp_path):
  model = tiny_export.make(tmp_path, {'postprocess': _RAW})
  folded = frozen.freeze(_build(model.params, (64, 64)), model.checkpoint)
  nodes = {node.name: node for node in folded.graph_def.node}
  batch_norms = [n for n in nodes.values() if n.op == 'FusedBatchNormV3']
  assert len(batch_norms) == 4
  for node in batch_norms:
    # Straight after the convolution, so that the runtime fuses the two.
    assert nodes[node.input[0]].op == 'Conv2D'


def test_flat_features_stay(tmp_path):
  levels = dict(tiny_export.SMALL['architecture'])
  model = tiny_export.make(
    tmp_path, {'architecture': dict(levels, output_flat_fpn_features=True)}
  )
  folded = frozen.freeze(_build(model.params, (64, 64)), model.checkpoint)
  features = tiny_export.run(
    folded.graph_def,
    'RawFpnFeatures:0',
    {'Placeholder:0': np.ones([2, 64, 64, 3])},
  )
  # 8 x 8 + 4 x 4 cells with 8 channels.
  assert features.shape == (2, 640)
  assert np.ptp(features[0]) > 0


def test_checkpoint_of_another_network_is_refused(tmp_path):
  model = tiny_export.make(tmp_path)
  other = tiny_export.resolve({'resnet': {'resnet_depth': 18}})
  with pytest.raises(errors.UserError, match='another architecture'):
    frozen.freeze(_build(other, (64, 64)), model.checkpoint)


def _batch_norm(inputs, channels, draw, is_training=False):
  def constant(low, high):
    return tf.constant(draw.uniform(low, high, [channels]), tf.float32)

  return tf.nn.fused_batch_norm(
    inputs,
    constant(0.5, 2),
    constant(-1, 1),
    *([] if is_training else [constant(-1, 1), constant(0.5, 2)]),
    epsilon=0.1,
    is_training=is_training,
  )[0]


def _fold(build, fed):
  """Outputs before and after folding, ops after, names that are new."""
  draw = np.random.RandomState(0)
  with tf.Graph().as_default() as graph:
    inputs = tf.placeholder(tf.float32, fed.shape, 'inputs')
    tf.identity(build(inputs, draw), 'outputs')
  folded, new = fold_batch_norm.fold(graph.as_graph_def())
  folded = tf.graph_util.extract_sub_graph(folded, ['outputs'])
  before, after = (
    tiny_export.run(graph_def, 'outputs:0', {'inputs:0': fed})
    for graph_def in (graph.as_graph_def(), folded)
  )
  np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
  return _ops(folded), new


_FED = np.random.RandomState(3).randn(1, 6, 5, 4).astype(np.float32)


def test_depthwise_kernel_takes_one_factor_for_each_output():
  def build(inputs, draw):
    kernel = tf.constant(draw.randn(3, 3, 4, 2), tf.float32, name='a/kernel')
    outputs = tf.nn.depthwise_conv2d(inputs, kernel, [1, 1, 1, 1], 'SAME')
    return _batch_norm(outputs, 8, draw)

  ops, new = _fold(build, _FED)
  assert ops['BiasAdd'] == 1 and not ops['FusedBatchNormV3']
  assert new == ['a/bias']


@pytest.mark.parametrize('case', ['training', 'branch', 'computed', 'add'])
def test_what_cannot_be_folded_is_left_alone(case):
  def build(inputs, draw):
    kernel = tf.constant(draw.randn(1, 1, 4, 8), tf.float32, name='a/kernel')
    if case == 'computed':
      kernel = kernel + tf.reduce_mean(inputs)
    outputs = tf.nn.conv2d(inputs, kernel, 1, 'SAME')
    if case == 'add':
      outputs = outputs + 1.0
    normed = _batch_norm(outputs, 8, draw, is_training=case == 'training')
    # The convolution itself is wanted, too.
    return normed + outputs if case == 'branch' else normed

  ops, new = _fold(build, _FED)
  assert ops['FusedBatchNormV3'] == 1
  assert not new and not ops['BiasAdd']
