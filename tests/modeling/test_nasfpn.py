"""NAS-FPN: its options, the attention, and what it refuses."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import backbone_and_neck, layer_kit
from modeling.architecture.necks import nasfpn
from tests import golden_numbers
from utils import errors


def _neck(architecture=None, **settings):
  settings = {'fpn_feat_dims': 8, 'num_repeats': 1, **settings}
  params = golden_numbers.make_params(
    {
      'architecture': {
        'multilevel_features': 'nasfpn',
        **(architecture or {}),
      },
      'nasfpn': settings,
    }
  )
  return backbone_and_neck.neck_generator(params, layer_kit.from_params(params))


def _features(size=256, channels=16):
  return {
    level: tf.ones([2, size >> level, size >> level, channels])
    for level in (2, 3, 4, 5)
  }


@pytest.mark.parametrize(
  'block_fn,width,num_repeats',
  [
    ('conv', 8, 1),
    ('conv', 8, 3),
    ('bottleneck', 32, 1),
    pytest.param('bottleneck', 32, 3, marks=pytest.mark.slow),
  ],
)
def test_pyramid(block_fn, width, num_repeats):
  with tf.Graph().as_default():
    neck = _neck(num_repeats=num_repeats, block_fn=block_fn)
    pyramid = neck(_features(), True)
    cells = {
      v.op.name.split('/')[1]
      for v in tf.trainable_variables()
      if v.op.name.startswith('fpn_cells/')
    }
  assert {level: p.shape.as_list() for level, p in pyramid.items()} == {
    level: [2, 256 >> level, 256 >> level, width] for level in range(3, 8)
  }
  assert cells == {f'cell_{i}' for i in range(num_repeats)}


def test_resampling_has_weights_only_where_widths_differ():
  with tf.Graph().as_default():
    features = _features()
    features[4] = tf.ones([2, 16, 16, 8])
    _neck()(features, True)
    names = {v.op.name.split('/')[0] for v in tf.trainable_variables()}
  assert names == {'resample_l3', 'resample_l5', 'fpn_cells'}


def test_separable():
  with tf.Graph().as_default():
    _neck(use_separable_conv=True)(_features(), True)
    names = [v.op.name for v in tf.trainable_variables()]
  assert 'resample_l3/separable_conv2d/depthwise_kernel' in names
  node = 'fpn_cells/cell_0/sub_policy0/op_after_combine5/'
  assert node + 'conv/pointwise_kernel' in names


def test_attention_weighs_the_finer_map():
  coarse = np.zeros([1, 2, 2, 2], np.float32)
  coarse[0, 0, 1] = [3.0, -1.0]
  coarse[0, 1, 1] = [1.0, -2.0]
  coarse[0, 0, 0, 1] = coarse[0, 1, 0, 1] = -5.0
  fine = np.ones([1, 2, 2, 2], np.float32)
  with tf.Graph().as_default(), tf.Session() as session:
    got = session.run(nasfpn._attend(tf.constant(coarse), tf.constant(fine)))
  weights = 1 / (1 + np.exp([-3.0, 1.0]))
  np.testing.assert_allclose(got, coarse + weights, rtol=1e-6)


def _values(**settings):
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    rng = np.random.RandomState(0)
    features = {
      level: tf.constant(
        rng.randn(1, 256 >> level, 256 >> level, 4), tf.float32
      )
      for level in (3, 4, 5)
    }
    pyramid = _neck(**settings)(features, False)
    golden_numbers.load_weights(session)
    return session.run(pyramid)


def _conv_block(inputs, scope):
  """3x3 convolution and batch norm of the rectified map, in NumPy."""

  def weight(leaf, *shape):
    return golden_numbers.weight(f'{scope}/{leaf}', shape)

  height, width, channels = inputs.shape
  padded = np.pad(np.maximum(inputs, 0), [(1, 1), (1, 1), (0, 0)])
  kernel = weight('conv/kernel', 3, 3, channels, channels)
  outputs = sum(
    padded[y : y + height, x : x + width] @ kernel[y, x]
    for y in range(3)
    for x in range(3)
  )
  outputs += weight('conv/bias', channels) - weight('bn/moving_mean', channels)
  deviation = np.sqrt(weight('bn/moving_variance', channels) + 1e-4)
  outputs *= weight('bn/gamma', channels) / deviation
  return outputs + weight('bn/beta', channels)


def _pool(feature, stride):
  height, width, channels = feature.shape
  cells = feature.reshape(
    [height // stride, stride, width // stride, stride, channels]
  )
  return cells.max(axis=(1, 3))


def _repeat(feature, factor):
  return feature.repeat(factor, axis=0).repeat(factor, axis=1)


def _cell_in_numpy(features):
  """Pyramid of one cell of conv blocks, levels 3 to 5 having its width."""

  def attend(coarse, fine):
    return coarse + fine / (1 + np.exp(-coarse.max(axis=(0, 1))))

  def block(merged, node):
    return _conv_block(
      merged,
      f'fpn_cells/cell_0/sub_policy{node}/op_after_combine{5 + node}',
    )

  f3, f4, f5 = (features[level] for level in (3, 4, 5))
  f6 = _pool(f5, 2)
  f7 = _pool(f6, 2)
  n4 = block(attend(_repeat(f6, 4), f4), 0)
  n4 = block(f4 + n4, 1)
  p3 = block(f3 + _repeat(n4, 2), 2)
  p4 = block(n4 + _pool(p3, 2), 3)
  # Level 5 of the inputs, and level 7, which no node has used, come in here.
  p5 = block(attend(_pool(p4, 2), _pool(p3, 4)) + f5, 4)
  p7 = block(attend(_pool(p5, 4), _pool(n4, 8)) + f7, 5)
  p6 = block(attend(_repeat(p7, 2), _pool(p5, 2)), 6)
  return {3: p3, 4: p4, 5: p5, 6: p6, 7: p7}


def test_cell_equals_numpy():
  pyramid = _values(fpn_feat_dims=4)
  rng = np.random.RandomState(0)
  expected = _cell_in_numpy(
    {
      level: rng.randn(1, 256 >> level, 256 >> level, 4)[0].astype(np.float32)
      for level in (3, 4, 5)
    }
  )
  for level, value in expected.items():
    assert np.abs(value).max() > 0.1
    np.testing.assert_allclose(pyramid[level][0], value, rtol=1e-4, atol=1e-5)


def _differ(first, second):
  return all(
    np.abs(first[level] - second[level]).max() > 1e-3 for level in first
  )


def test_sum_for_every_combination_and_own_activation():
  plain = _values()
  summed = _values(use_sum_for_combination=True)
  # Level 3 sums in any case, but what it sums comes through an attention.
  assert _differ(plain, summed)
  swish = _values(activation='swish')
  assert _differ(plain, swish)


def test_drop_connect_rate_is_the_same_for_all_blocks():
  with tf.Graph().as_default():
    tf.set_random_seed(0)
    neck = _neck(block_fn='bottleneck', init_drop_connect_rate=0.5)
    neck(_features(), True)
    graph = tf.get_default_graph()
    kept = [op for op in graph.get_operations() if op.type == 'Floor']
    probabilities = [
      tf.get_static_value(operand)
      for op in kept
      for operand in op.inputs[0].op.inputs
    ]
  assert len(kept) == 7
  assert [p for p in probabilities if p is not None] == [0.5] * 7


@pytest.mark.parametrize(
  'architecture,settings,message',
  [
    ({'min_level': 2}, {}, 'levels 3 to 7, not 2 to 7'),
    ({'max_level': 6}, {}, 'levels 3 to 7, not 3 to 6'),
    ({}, {'block_fn': 'convolution'}, 'nasfpn.block_fn.*bottleneck, conv'),
    ({}, {'activation': 'gelu'}, 'nasfpn.activation: .gelu.*relu, swish'),
    ({}, {'num_repeats': 0}, 'nasfpn.num_repeats: 0'),
    ({}, {'init_drop_connect_rate': 1.0}, 'nasfpn.init_drop_connect_rate'),
  ],
)
def test_refuses(architecture, settings, message):
  with pytest.raises(errors.ConfigError, match=message):
    _neck(architecture, **settings)


def test_needs_level_3():
  with tf.Graph().as_default():
    with pytest.raises(errors.ConfigError, match='lowest level .* is 4'):
      _neck()({4: tf.ones([1, 16, 16, 8])}, True)


def test_identity_neck_adds_no_levels():
  params = golden_numbers.make_params(
    {'architecture': {'multilevel_features': 'identity', 'max_level': 5}}
  )
  layers = layer_kit.from_params(params)
  with tf.Graph().as_default():
    features = _features()
    maps = backbone_and_neck.neck_generator(params, layers)(features, True)
    assert maps == {level: features[level] for level in (3, 4, 5)}
    params.override({'architecture': {'max_level': 6}})
    with pytest.raises(errors.ConfigError, match='has 2 to 5, not 3 to 6'):
      backbone_and_neck.neck_generator(params, layers)(features, True)
