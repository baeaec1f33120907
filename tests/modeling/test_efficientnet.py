"""EfficientNet: scaling, figures, and what no config changes."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import backbone_and_neck, layer_kit
from modeling.architecture.backbones import efficientnet
from tests import golden_numbers
from utils import errors


def _backbone(name, **blocks):
  params = golden_numbers.make_params(
    {'architecture': {'backbone': name}, **blocks}
  )
  return backbone_and_neck.backbone_generator(
    params, layer_kit.from_params(params)
  )


class _Built:
  """EfficientNet-B0 in training, in a config that asks for other things."""

  def __init__(self):
    blocks = {
      'batch_norm_activation': {
        'batch_norm_trainable': False,
        'batch_norm_epsilon': 0.5,
        'activation': 'relu',
      },
      'dropblock': {'dropblock_keep_prob': 0.5, 'dropblock_size': 1},
    }
    with tf.Graph().as_default() as self.graph:
      tf.set_random_seed(3)
      # What is dropped depends on it.
      tf.train.get_or_create_global_step()
      features = _backbone('efficientnet-b0', **blocks)(
        tf.random_normal([2, 96, 128, 3]), True
      )
      self.shapes = {k: f.shape.as_list() for k, f in features.items()}
      self.gradients = tf.gradients(
        [tf.reduce_sum(f) for f in features.values()], tf.trainable_variables()
      )
      self.variables = {v.op.name: v for v in tf.global_variables()}
      del self.variables['global_step']
      self.trained = {v.op.name for v in tf.trainable_variables()}
      self.ops = self.graph.get_operations()


@pytest.fixture(scope='module')
def built():
  return _Built()


@pytest.mark.parametrize(
  'width,depth,filters,repeats,stem,head',
  [
    (
      *(1.1, 1.2, [16, 24, 48, 88, 120, 208, 352], [2, 3, 3, 4, 4, 5, 2]),
      *(32, 1408),
    ),
    (
      *(1.8, 2.6, [32, 40, 72, 144, 200, 344, 576], [3, 6, 6, 8, 8, 11, 3]),
      *(56, 2304),
    ),
    (
      *(4.3, 5.3, [72, 104, 176, 344, 480, 824, 1376]),
      *([6, 11, 11, 16, 16, 22, 6], 136, 5504),
    ),
  ],
  ids=['b2', 'b6', 'l2'],
)
def test_scaling(width, depth, filters, repeats, stem, head):
  groups = efficientnet.scaled_groups(width, depth)
  assert [group.filters for group in groups] == filters
  assert [group.repeats for group in groups] == repeats
  assert efficientnet.scaled_filters(32, width) == stem
  assert efficientnet.scaled_filters(1280, width) == head


def test_filters_never_fall_by_more_than_a_tenth():
  assert efficientnet.scaled_filters(1, 1.0) == 8
  # 19 would become 16.
  assert efficientnet.scaled_filters(10, 1.9) == 24
  assert efficientnet.scaled_filters(28, 1.0) == 32


def test_published_figures_of_b0(built):
  shapes = {name: v.shape.as_list() for name, v in built.variables.items()}
  assert (len(shapes), len(built.trained)) == (311, 213)
  assert sum(np.prod(shapes[name]) for name in built.trained) == 5288548
  scope = 'efficientnet-b0/'
  for name, shape in (
    ('blocks_1/se/conv2d/kernel', [1, 1, 96, 4]),
    ('blocks_0/conv2d/kernel', [1, 1, 32, 16]),
    ('blocks_15/depthwise_conv2d/depthwise_kernel', [3, 3, 1152, 1]),
    ('head/dense/bias', [1000]),
  ):
    assert shapes[scope + name] == shape
  assert built.shapes == {
    2: [2, 24, 32, 24],
    3: [2, 12, 16, 40],
    4: [2, 6, 8, 112],
    5: [2, 3, 4, 320],
  }


@pytest.mark.slow
@pytest.mark.parametrize(
  'size,variables,trained,parameters',
  [('b2', 439, 301, 9109994), ('b7', 1037, 711, 66347960)],
)
def test_published_figures(size, variables, trained, parameters):
  with tf.Graph().as_default():
    _backbone('efficientnet-' + size)(tf.zeros([1, 32, 32, 3]), False)
    weights = tf.trainable_variables()
    assert len(tf.global_variables()) == variables
    assert len(weights) == trained
    assert sum(np.prod(v.shape.as_list()) for v in weights) == parameters


def test_all_but_the_head_is_trained(built):
  without = {
    name
    for name, gradient in zip(
      (v for v in built.variables if v in built.trained), built.gradients
    )
    if gradient is None
  }
  head = {v for v in built.trained if v.startswith('efficientnet-b0/head/')}
  assert without == head and len(head) == 5


def test_what_the_config_does_not_decide(built):
  types = [op.type for op in built.ops]
  assert 'Relu' not in types and 'MaxPool' not in types
  norms = [op for op in built.ops if op.type == 'FusedBatchNormV3']
  assert len(norms) == 49
  assert all(op.get_attr('is_training') for op in norms)
  assert {op.get_attr('epsilon') for op in norms} == {np.float32(1e-3)}
  # One of each block with a shortcut; rates grow with the number of the block.
  kept = [
    float(tf.get_static_value(op.inputs[0]))
    for op in built.ops
    if op.type in ('Add', 'AddV2')
    and op.inputs[1].op.name.endswith('random_uniform')
  ]
  blocks = (2, 4, 6, 7, 9, 10, 12, 13, 14)
  np.testing.assert_allclose(kept, [1 - 0.2 * i / 16 for i in blocks])


def test_drop_connect_follows_the_seed_of_a_run(built):
  drawn = [op for op in built.ops if op.type == 'StatelessRandomUniform']
  assert len(drawn) == 9
  with tf.Session(graph=built.graph) as session:
    session.run(tf.train.get_global_step(built.graph).initializer)
    seeds = session.run([op.inputs[1] for op in drawn])
  assert len({seed[0] for seed in seeds}) == 9


def test_initial_weights(built):
  names = [
    'efficientnet-b0/blocks_15/conv2d/kernel',
    'efficientnet-b0/blocks_15/depthwise_conv2d/depthwise_kernel',
    'efficientnet-b0/blocks_15/se/conv2d_1/kernel',
    'efficientnet-b0/head/dense/kernel',
  ]
  with tf.Session(graph=built.graph) as session:
    variables = [built.variables[name] for name in names]
    session.run([v.initializer for v in variables])
    project, depthwise, excite, dense = session.run(variables)
  # Untruncated normal of variance 2 / (kernel area * last axis).
  for value, fan_out in ((project, 1152), (depthwise, 9), (excite, 1152)):
    deviation = np.sqrt(2 / fan_out)
    assert value.std() == pytest.approx(deviation, rel=0.03)
    assert np.abs(value).max() > 2.5 * deviation
  assert np.abs(dense).max() == pytest.approx(1 / np.sqrt(1000), rel=1e-3)


def test_an_unknown_size_names_the_known_ones():
  with pytest.raises(errors.ConfigError) as info:
    _backbone('efficientnet-b9')
  assert "architecture.backbone: 'efficientnet-b9' is unknown" in str(
    info.value
  )
  for size in ('b0', 'b8', 'l2'):
    assert 'efficientnet-' + size in str(info.value)
