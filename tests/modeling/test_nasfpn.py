"""NAS-FPN: its options, the attention, and what it refuses."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import factory, normalization
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
  return factory.neck_generator(params, normalization.from_params(params))


def _features(size=256, channels=16):
  return {
    level: tf.ones([2, size >> level, size >> level, channels])
    for level in (2, 3, 4, 5)
  }


@pytest.mark.parametrize('num_repeats', [1, 3])
@pytest.mark.parametrize('block_fn,width', [('conv', 8), ('bottleneck', 32)])
def test_pyramid(num_repeats, block_fn, width):
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
  assert cells == {'cell_{}'.format(i) for i in range(num_repeats)}


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
  shared = normalization.from_params(params)
  with tf.Graph().as_default():
    features = _features()
    maps = factory.neck_generator(params, shared)(features, True)
    assert maps == {level: features[level] for level in (3, 4, 5)}
    params.override({'architecture': {'max_level': 6}})
    with pytest.raises(errors.ConfigError, match='has 2 to 5, not 3 to 6'):
      factory.neck_generator(params, shared)(features, True)
