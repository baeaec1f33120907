"""Layers, blocks and regularisation do what their papers say."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import (
  activations,
  batch_norm,
  convolutions,
  regularization,
  space_to_depth,
)
from modeling.architecture.backbones import resnet
from modeling.architecture.necks import fpn
from ops.image_layout import undo_input_layout
from tests import golden_numbers
from utils import errors


def _run(tensors):
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    return session.run(tensors)


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_nearest_upsampling_repeats_cells(scale):
  values = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape([2, 2, 3, 2])
  with tf.Graph().as_default():
    got = _run(convolutions.nearest_upsampling(tf.constant(values), scale))
  want = values.repeat(scale, axis=1).repeat(scale, axis=2)
  np.testing.assert_array_equal(got, want)


def test_nearest_upsampling_of_unknown_size():
  with tf.Graph().as_default(), tf.Session() as session:
    images = tf.placeholder(tf.float32, [None, None, None, 1])
    outputs = convolutions.nearest_upsampling(images, 2)
    assert outputs.shape.as_list() == [None, None, None, 1]
    got = session.run(outputs, {images: np.ones([1, 2, 3, 1])})
  assert got.shape == (1, 4, 6, 1)


def test_strided_convolution_pads_both_sides():
  image = np.zeros([1, 4, 4, 1], np.float32)
  image[0, 0, 0, 0] = 1.0
  with tf.Graph().as_default(), tf.Session() as session:
    outputs = convolutions.conv2d_fixed_padding(tf.constant(image), 1, 3, 2)
    kernel = tf.trainable_variables()[0]
    kernel.load(np.arange(9.0).reshape([3, 3, 1, 1]), session)
    got = session.run(outputs)[0, :, :, 0]
  # The pixel at the corner lies under the centre of the kernel; with SAME
  # padding, which pads behind only, it would lie under its corner.
  np.testing.assert_array_equal(got, [[4.0, 0.0], [0.0, 0.0]])


def test_swish_and_unknown_activation():
  with tf.Graph().as_default():
    got = _run(activations.get_activation('swish')(tf.constant([0.0, 1.0])))
  np.testing.assert_allclose(got, [0.0, 0.7310586], rtol=1e-6)
  with pytest.raises(errors.ConfigError, match='relu, swish'):
    activations.get_activation('gelu')


@pytest.mark.parametrize('use_sync_bn', [False, True])
def test_batch_norm_moves_statistics_in_training_only(use_sync_bn):
  values = np.array([[1.0], [3.0]], np.float32).reshape([2, 1, 1, 1])
  for is_training in (True, False):
    with tf.Graph().as_default():
      norm = batch_norm.BatchNormActivation(
        momentum=0.9, epsilon=0.0, use_sync_bn=use_sync_bn
      )
      outputs = norm(tf.constant(values), is_training, activate=False)
      updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
      assert len(updates) == (2 if is_training else 0)
      names = [v.op.name for v in tf.global_variables()]
      with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        got = session.run(outputs).ravel()
        session.run(updates)
        mean, variance = session.run(tf.global_variables()[2:])
    assert names == [
      'batch_normalization/' + leaf
      for leaf in ('gamma', 'beta', 'moving_mean', 'moving_variance')
    ]
    if is_training:
      np.testing.assert_allclose(got, [-1.0, 1.0], rtol=1e-5)
      np.testing.assert_allclose(mean, [0.2], rtol=1e-5)
      # The fused kernel stores the unbiased variance 2, the other one 1.
      stored = 1.0 if use_sync_bn else 2.0
      np.testing.assert_allclose(variance, [0.9 + 0.1 * stored], rtol=1e-5)
    else:
      np.testing.assert_allclose(got, [1.0, 3.0], rtol=1e-5)


def test_untrainable_batch_norm_uses_moving_statistics():
  with tf.Graph().as_default():
    norm = batch_norm.BatchNormActivation(epsilon=0.0, trainable=False)
    outputs = norm(tf.constant([[[[2.0]]], [[[4.0]]]]), True)
    assert not tf.trainable_variables()
    assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    np.testing.assert_allclose(_run(outputs).ravel(), [2.0, 4.0], rtol=1e-4)


def test_synchronised_batch_norm_trains():
  with tf.Graph().as_default():
    norm = batch_norm.BatchNormActivation(use_sync_bn=True)
    outputs = norm(tf.random_normal([4, 2, 2, 3]), True)
    gradients = tf.gradients(
      tf.reduce_sum(tf.square(outputs)), tf.trainable_variables()
    )
    assert all(np.isfinite(g).all() for g in _run(gradients))


def test_drop_connect_keeps_the_expectation():
  with tf.Graph().as_default():
    tf.set_random_seed(1)
    ones = tf.ones([4000, 2])
    dropped = regularization.drop_connect(ones, True, 0.25)
    same = regularization.drop_connect(ones, False, 0.25)
    assert same is ones
    assert regularization.drop_connect(ones, True, None) is ones
    got = _run(dropped)
  assert set(np.unique(got.round(4))) == {0.0, np.float32(1.3333)}
  np.testing.assert_array_equal(got[:, 0], got[:, 1])
  assert got.mean() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize('rate', [-0.1, 1.0])
def test_drop_connect_rate_outside_range(rate):
  with pytest.raises(errors.ConfigError, match='resnet.init_drop'):
    regularization.scaled_drop_rate('resnet.init_drop_connect_rate', rate, 2, 5)


def test_dropblock_drops_squares_and_keeps_the_mean():
  with tf.Graph().as_default():
    tf.set_random_seed(2)
    block = regularization.DropBlock(0.9, 3)
    ones = tf.ones([8, 12, 20, 4])
    assert block(ones, False) is ones
    got = _run(block(ones, True))
  is_dropped = got == 0
  assert 0.03 < is_dropped.mean() < 0.2
  assert got.mean() == pytest.approx(1.0, abs=1e-4)
  # Every dropped cell belongs to a 3x3 square that is dropped whole.
  with tf.Graph().as_default():
    dropped = tf.constant(is_dropped, tf.float32)
    whole = -tf.nn.max_pool2d(-dropped, 3, 1, 'VALID')
    whole = tf.pad(whole, [[0, 0], [1, 1], [1, 1], [0, 0]])
    covered = _run(tf.nn.max_pool2d(whole, 3, 1, 'SAME'))
  np.testing.assert_array_equal(covered > 0, is_dropped)


def test_dropblock_as_large_as_the_map():
  with tf.Graph().as_default():
    got = _run(regularization.DropBlock(0.5, 2)(tf.ones([64, 2, 3, 1]), True))
  assert np.isfinite(got).all()
  assert (got == 0).any() and (got > 0).any()


def test_dropblock_larger_than_the_map():
  with tf.Graph().as_default():
    maps = tf.ones([4, 2, 3, 1], name='some_map')
    with pytest.raises(errors.ConfigError, match='size: 3 .* 2 x 3 .*some_map'):
      regularization.DropBlock(0.5, 3)(maps, True)


@pytest.mark.parametrize('keep_prob,size', [(1.5, 3), (0.0, 3), (0.9, None)])
def test_dropblock_rejects_bad_settings(keep_prob, size):
  with pytest.raises(errors.ConfigError, match='dropblock'):
    regularization.DropBlock(keep_prob, size)


def test_space_to_depth_stem_equals_the_ordinary_one():
  images = np.random.RandomState(0).randn(2, 32, 48, 3).astype(np.float32)
  with tf.Graph().as_default(), tf.Session() as session:
    ordinary = convolutions.conv2d_fixed_padding(tf.constant(images), 8, 7, 2)
    with tf.variable_scope('depth'):
      blocks = tf.nn.space_to_depth(tf.constant(images), 2)
      transformed = space_to_depth.conv2d_space_to_depth(blocks, 8, 7, 2, 2)
    names = [v.op.name for v in tf.global_variables()]
    assert names == ['conv2d/kernel', 'depth/conv2d/kernel']
    kernel = np.random.RandomState(1).randn(7, 7, 3, 8)
    for variable in tf.global_variables():
      variable.load(kernel, session)
    want, got = session.run([ordinary, transformed])
  np.testing.assert_allclose(got, want, atol=1e-3)


@pytest.mark.parametrize('block_size', [1, 2])
@pytest.mark.parametrize('transpose', [True, False])
def test_undo_input_layout(block_size, transpose):
  images = np.arange(2 * 3 * 4 * 5).reshape([2, 3, 4, 5])
  order = [0, 1, 2, 3]
  if transpose:
    order = [1, 2, 0, 3] if block_size > 1 else [1, 2, 3, 0]
  with tf.Graph().as_default():
    restored = undo_input_layout(
      tf.constant(images.transpose(order)), transpose, block_size
    )
    np.testing.assert_array_equal(_run(restored), images)


@pytest.mark.parametrize(
  'depth',
  [
    pytest.param(d, marks=[pytest.mark.slow] if d > 50 else [])
    for d in resnet.DEPTHS.names()
  ],
)
def test_resnet_of_every_depth(depth):
  num_layers = {10: 13, 14: 17, 18: 21, 26: 29, 34: 37, 50: 53}
  num_layers.update({101: 104, 152: 155, 200: 203})
  params = golden_numbers.make_params({'resnet': {'resnet_depth': depth}})
  from modeling.architecture import backbone_and_neck, layer_kit

  with tf.Graph().as_default():
    backbone = backbone_and_neck.backbone_generator(
      params, layer_kit.from_params(params)
    )
    features = backbone(tf.zeros([1, 64, 64, 3]), True)
    kernels = [v for v in tf.trainable_variables() if 'kernel' in v.name]
  assert len(kernels) == num_layers[depth]
  width = 1 if depth in (10, 18, 34) else 4
  assert {k: v.shape.as_list() for k, v in features.items()} == {
    2: [1, 16, 16, 64 * width],
    3: [1, 8, 8, 128 * width],
    4: [1, 4, 4, 256 * width],
    5: [1, 2, 2, 512 * width],
  }
  assert all(v.op.name.startswith(backbone.scope) for v in kernels)


def test_unknown_parts_name_the_known_ones():
  from modeling.architecture import backbone_and_neck, layer_kit

  for override, known in [
    ({'resnet': {'resnet_depth': 51}}, '50'),
    ({'architecture': {'backbone': 'resnext'}}, 'resnet'),
  ]:
    params = golden_numbers.make_params(override)
    layers = layer_kit.from_params(params)
    with pytest.raises(errors.ConfigError, match=known):
      backbone_and_neck.backbone_generator(params, layers)
  params = golden_numbers.make_params(
    {'architecture': {'multilevel_features': 'pan'}}
  )
  with pytest.raises(errors.ConfigError, match='fpn'):
    backbone_and_neck.neck_generator(params, layer_kit.from_params(params))


@pytest.mark.parametrize('levels', [(2, 5), (3, 4), (3, 7), (4, 6)])
def test_fpn_gives_every_wanted_level(levels):
  params = golden_numbers.make_params()
  from modeling.architecture import layer_kit

  with tf.Graph().as_default():
    features = {
      level: tf.ones([2, 256 >> level, 128 >> level, 8])
      for level in (2, 3, 4, 5)
    }
    neck = fpn.Fpn(*levels, layer_kit.from_params(params), filters=16)
    pyramid = neck(features, True)
  assert sorted(pyramid) == list(range(levels[0], levels[1] + 1))
  for level, maps in pyramid.items():
    assert maps.shape.as_list() == [2, 256 >> level, 128 >> level, 16]


def test_fpn_outside_of_the_backbone():
  params = golden_numbers.make_params()
  from modeling.architecture import layer_kit

  for min_level in (1, 6):
    neck = fpn.Fpn(min_level, 7, layer_kit.from_params(params))
    with tf.Graph().as_default():
      features = {level: tf.ones([1, 8, 8, 4]) for level in (2, 3, 4, 5)}
      with pytest.raises(errors.ConfigError, match='min_level: .* 2 to 5'):
        neck(features, True)


@pytest.mark.parametrize(
  'override,count',
  [
    # Two batch norms and the shortcut of each of the four blocks.
    ({'resnet': {'resnet_depth': 10}}, 12),
    # Three and the shortcut, with a projection or without.
    ({'resnet': {'resnet_depth': 26}}, 32),
    # The neck's seven nodes as well.
    (
      {
        'resnet': {'resnet_depth': 10},
        'architecture': {'multilevel_features': 'nasfpn'},
        'nasfpn': {'num_repeats': 1},
      },
      19,
    ),
  ],
)
def test_dropblock_is_where_it_belongs(override, count):
  params = golden_numbers.make_params(
    {'dropblock': {'dropblock_keep_prob': 0.9, 'dropblock_size': 2}, **override}
  )
  from modeling.architecture import backbone_and_neck, layer_kit

  layers = layer_kit.from_params(params)
  with tf.Graph().as_default():
    features = backbone_and_neck.backbone_generator(params, layers)(
      tf.zeros([1, 256, 256, 3]), True
    )
    backbone_and_neck.neck_generator(params, layers)(features, True)
    draws = [
      op
      for op in tf.get_default_graph().get_operations()
      if op.type == 'RandomUniform' and 'Initializer' not in op.name
    ]
  assert len(draws) == count
