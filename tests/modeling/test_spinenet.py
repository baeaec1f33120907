"""Both SpineNets: levels, sizes, options, and what they refuse."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import (
  backbone_and_neck,
  depthwise_conv,
  layer_kit,
  mbconv_block,
)
from modeling.architecture import scale_permuted_network as spn
from modeling.architecture.backbones import spinenet, spinenet_mbconv
from tests import golden_numbers
from utils import errors

_BACKBONES = ('spinenet', 'spinenet_mbconv')
_SMALLEST = {'spinenet': '49S', 'spinenet_mbconv': '49XS'}
# Which spinenet_mbconv does not have.
_DROPBLOCK = {
  'spinenet': {},
  'spinenet_mbconv': {'dropblock_keep_prob': 0.9, 'dropblock_size': 2},
}


def _backbone(name, architecture=None, **settings):
  settings = {'model_id': _SMALLEST[name], **settings}
  params = golden_numbers.make_params(
    {
      'dropblock': _DROPBLOCK[name],
      'architecture': {
        'backbone': name,
        'multilevel_features': 'identity',
        **(architecture or {}),
      },
      name: settings,
    }
  )
  return backbone_and_neck.backbone_generator(
    params, layer_kit.from_params(params)
  )


def _shapes(backbone, height, width, is_training=False):
  features = backbone(tf.zeros([2, height, width, 3]), is_training)
  return {level: f.shape.as_list() for level, f in features.items()}


def _outputs(name, height, width, **settings):
  """Values with the golden weights, and the number of resize ops."""
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    images = np.random.RandomState(0).randn(1, height, width, 3)
    features = _backbone(name, **settings)(
      tf.constant(images, tf.float32), False
    )
    golden_numbers.load_weights(session)
    types = [op.type for op in session.graph.get_operations()]
    return session.run(features), types.count('ResizeNearestNeighbor')


# Squares of 737 to 744 pixels and odd rectangles have maps whose sizes are no
# multiples of each other, which spinenet_mbconv refuses.
_SIZES = {'spinenet': (738, 738), 'spinenet_mbconv': (128, 256)}


class _Built:
  """The graph of a backbone in training."""

  def __init__(self, name, architecture=None):
    with tf.Graph().as_default() as self.graph:
      self.backbone = _backbone(name, architecture, init_drop_connect_rate=0.32)
      self.shapes = _shapes(self.backbone, *_SIZES[name], is_training=True)
      self.variables = [v.op.name for v in tf.global_variables()]


@pytest.fixture(scope='module')
def built():
  return {name: _Built(name) for name in _BACKBONES}


@pytest.mark.parametrize('name', _BACKBONES)
@pytest.mark.parametrize(
  'levels', [(3, 7), pytest.param((4, 6), marks=pytest.mark.slow)]
)
def test_gives_the_wanted_levels(name, levels, built):
  channels = {'spinenet': 128, 'spinenet_mbconv': 24}[name]
  network = built[name]
  if levels != (3, 7):
    network = _Built(name, {'min_level': levels[0], 'max_level': levels[1]})
  height, width = _SIZES[name]
  assert network.shapes == {
    level: [2, -(-height // 2**level), -(-width // 2**level), channels]
    for level in range(levels[0], levels[1] + 1)
  }
  assert all(v.startswith(name + '/') for v in network.variables)


@pytest.mark.parametrize('name', _BACKBONES)
@pytest.mark.parametrize('levels', [(2, 7), (3, 8)])
def test_refuses_other_levels(name, levels):
  with pytest.raises(errors.ConfigError, match='min_level.*levels 3 to 7'):
    _backbone(name, {'min_level': levels[0], 'max_level': levels[1]})


@pytest.mark.parametrize('name', _BACKBONES)
def test_refuses_an_unknown_model(name):
  with pytest.raises(
    errors.ConfigError, match=name + ".model_id: '50'.*49, 49S"
  ):
    _backbone(name, model_id='50')


@pytest.mark.parametrize('name', _BACKBONES)
@pytest.mark.parametrize('rate', [-0.1, 1.0])
def test_refuses_a_drop_rate_outside_range(name, rate):
  with pytest.raises(
    errors.ConfigError, match=name + '.init_drop_connect_rate'
  ):
    _backbone(name, init_drop_connect_rate=rate)


@pytest.mark.parametrize('name', _BACKBONES)
def test_refuses_space_to_depth(name):
  with pytest.raises(errors.ConfigError, match='space_to_depth.*: 2 .*' + name):
    _backbone(name, {'space_to_depth_block_size': 2})


@pytest.mark.parametrize('name', _BACKBONES)
def test_refuses_images_of_unknown_size(name):
  with tf.Graph().as_default():
    images = tf.placeholder(tf.float32, [1, None, 128, 3])
    with pytest.raises(errors.ConfigError, match='height of None'):
      _backbone(name)(images, False)


@pytest.mark.slow
@pytest.mark.parametrize('size', [(128, 256), (64, 200)])
def test_spinenet_takes_any_size(size):
  with tf.Graph().as_default():
    shapes = _shapes(_backbone('spinenet'), *size, is_training=True)
  assert {level: tuple(shape[1:3]) for level, shape in shapes.items()} == {
    level: spn.level_size(size, level) for level in range(3, 8)
  }


@pytest.mark.slow
def test_small_images_need_fewer_variables(built):
  with tf.Graph().as_default():
    _shapes(_backbone('spinenet'), 64, 64)
    count = len(tf.global_variables())
  # Levels 6 and 7 are both one cell wide, so nothing is strided between them:
  # one convolution with its batch norm less.
  assert len(built['spinenet'].variables) - count == 5


def test_mbconv_refuses_sizes_whose_maps_do_not_fit():
  with tf.Graph().as_default():
    with pytest.raises(errors.ConfigError, match='192 x 192.*multiples of 128'):
      _shapes(_backbone('spinenet_mbconv'), 192, 192)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['spinenet', 'spinenet_mbconv'])
def test_native_resize_gives_equal_values(name):
  plain, num_plain = _outputs(name, 128, 128)
  native, num_native = _outputs(name, 128, 128, use_native_resize_op=True)
  assert num_plain == 0 and num_native == 5
  for level, values in plain.items():
    assert np.abs(values).max() > 1e-3
    np.testing.assert_allclose(native[level], values, rtol=1e-4, atol=1e-5)


def test_unused_feature_joins_the_next_output_of_its_size(built):
  # Of the features only the one of block 9 is no block's parent.
  unused = 'spinenet/sub_policy9/scale_permuted_block_11/' + (
    'scale_permuted_block_11'
  )
  operation = built['spinenet'].graph.get_operation_by_name(unused)
  consumers = operation.outputs[0].consumers()
  assert [op.name.split('/')[1] for op in consumers] == ['sub_policy12']


@pytest.mark.parametrize('name', _BACKBONES)
def test_drop_connect_grows_with_depth(name, built):
  count = {'spinenet': 15, 'spinenet_mbconv': 16}[name]
  rates = built[name].backbone._drop_connect_rates
  np.testing.assert_allclose(rates, 0.32 * np.arange(1, count + 1) / count)
  types = [op.type for op in built[name].graph.get_operations()]
  # Every block but the stem's has one branch in these variants.
  assert types.count('Floor') == count
  operations = built[name].graph.get_operations()
  draws = [op.name for op in operations if op.type == 'RandomUniform']
  assert len([name for name in draws if 'Initializer' not in name]) == count


@pytest.mark.slow
def test_mbconv_without_squeeze_and_excitation():
  with tf.Graph().as_default():
    _shapes(_backbone('spinenet_mbconv', se_ratio=0.0), 128, 128)
    names = {v.op.name for v in tf.global_variables()}
  assert not any('bias' in name for name in names)
  with pytest.raises(errors.ConfigError, match='spinenet_mbconv.se_ratio'):
    _backbone('spinenet_mbconv', se_ratio=1.5)


def test_mbconv_block_adds_its_input_where_shapes_agree():
  layers = layer_kit.from_params(golden_numbers.make_params())
  images = np.random.RandomState(0).rand(1, 4, 6, 3).astype(np.float32)
  with tf.Graph().as_default(), tf.Session() as session:
    outputs = mbconv_block.mbconv_block(
      tf.constant(images), 3, 1, 6, 0.5, layers, False
    )
    shrunk = mbconv_block.mbconv_block(
      tf.constant(images), 3, 2, 6, 0.5, layers, False
    )
    names = [v.op.name for v in tf.trainable_variables()]
    session.run(tf.global_variables_initializer())
    project = [v for v in tf.global_variables() if v.shape == [1, 1, 18, 3]]
    session.run([v.assign(tf.zeros_like(v)) for v in project])
    np.testing.assert_array_equal(session.run(outputs), images)
    np.testing.assert_array_equal(session.run(shrunk), np.zeros([1, 2, 3, 3]))
  assert names[:9] == [
    'conv2d/kernel',
    'batch_normalization/gamma',
    'batch_normalization/beta',
    'depthwise_conv2d/depthwise_kernel',
    'batch_normalization_1/gamma',
    'batch_normalization_1/beta',
    'conv2d_1/kernel',
    'conv2d_1/bias',
    'conv2d_2/kernel',
  ]


def test_depthwise_convolution_pads_both_sides():
  image = np.zeros([1, 4, 4, 2], np.float32)
  image[0, 0, 0, 1] = 1.0
  with tf.Graph().as_default(), tf.Session() as session:
    outputs = depthwise_conv.depthwise_conv2d_fixed_padding(
      tf.constant(image), 3, 2
    )
    (kernel,) = tf.trainable_variables()
    assert kernel.shape == [3, 3, 2, 1]
    kernel.load(np.arange(18.0).reshape([3, 3, 2, 1]), session)
    got = session.run(outputs)[0, :, :, 1]
  np.testing.assert_array_equal(got, [[9.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize(
  'specs,num_outputs',
  [(spinenet.BLOCK_SPECS, 15), (spinenet_mbconv.BLOCK_SPECS, 16)],
)
def test_specs_are_a_graph(specs, num_outputs):
  assert len(specs) == num_outputs
  for index, spec in enumerate(specs):
    assert max(spec.parents) < 2 + index
  assert sorted(s.level for s in specs if s.is_output) == [3, 4, 5, 6, 7]
