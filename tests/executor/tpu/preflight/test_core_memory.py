import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from executor.tpu.preflight import core_memory, kept_activations, tpu_graph
from tests import tiny_run

_BATCH, _SIDE = 2, 16


@pytest.mark.parametrize(
  'shape, dtype, expected',
  [
    ([], tf.float32, 4),
    ([3], tf.float32, 128 * 4),
    ([129], tf.bfloat16, 256 * 2),
    ([9, 129], tf.float32, 16 * 256 * 4),
    ([2, 5, 9, 64], tf.bfloat16, 2 * 5 * 16 * 128 * 2),
  ],
)
def test_last_two_dimensions_are_padded(shape, dtype, expected):
  assert core_memory.padded_bytes(shape, dtype) == expected


def test_what_is_fed_arrives_in_the_order_that_pads_least():
  # 8 x 640 as rows and lanes, which are multiples of 8 and 128.
  expected = 8 * 640 * 640 * 3 * 2
  for shape in ([8, 640, 640, 3], [640, 640, 3, 8]):
    assert core_memory.compact_bytes(shape, tf.bfloat16) == expected


def _small_graph(optimizer=None):
  """Two convolutions with batch norm and activation between, and a loss."""
  graph = tf.Graph()
  with graph.as_default(), tf.variable_scope('', use_resource=True):
    images = tf.placeholder(tf.float32, [_BATCH, _SIDE, _SIDE, 3])
    with tf.name_scope('replica'):
      inputs = tf.identity(images)
    with tf.variable_scope('net'):
      first = tf.layers.conv2d(inputs, 8, 3, padding='same', use_bias=False)
      normed = tf.layers.batch_normalization(first, training=True, fused=True)
      active = tf.nn.relu(normed)
      second = tf.layers.conv2d(active, 4, 1, use_bias=True)
    loss = tf.reduce_sum(tf.square(tf.nn.sigmoid(second)))
    (optimizer or tf.train.MomentumOptimizer(0.1, 0.9)).minimize(loss)
  return tpu_graph.TpuGraph(
    graph=graph,
    operations=graph.get_operations(),
    infeed=[images],
    num_replicas=1,
    replica_batch_size=_BATCH,
  ), {'images': images, 'first': first, 'active': active, 'second': second}


def test_the_backward_pass_keeps_what_fusion_does_not_compute_again():
  graph, tensors = _small_graph()
  kept = kept_activations.find_kept(graph.operations, graph.infeed)
  rank_4 = [t for t in kept if t.shape.ndims == 4]
  # The output of batch norm is not: relu's is there. Nor the biased output
  # and the sigmoid: they follow from the second convolution's.
  second = tensors['second'].op.inputs[0]
  assert rank_4 == [tensors['first'], tensors['active'], second]


def test_gradients_that_nothing_asks_for_keep_nothing():
  with tf.Graph().as_default() as graph:
    images = tf.placeholder(tf.float32, [_BATCH, _SIDE, _SIDE, 3])
    values = tf.layers.conv2d(images, 8, 3)
    factors = tf.nn.softmax(images[:, 1:-1, 1:-1, :1])
    loss = tf.reduce_sum(values * factors)
    tf.train.GradientDescentOptimizer(0.1).minimize(loss)
  kept = kept_activations.find_kept(graph.get_operations(), [images])
  # Of a product with a factor that nothing trains, the factor alone.
  assert factors in kept and values not in kept


def test_memory_of_a_small_graph_as_computed_by_hand():
  graph, _ = _small_graph()
  plane = _BATCH * _SIDE * _SIDE * 128 * 4  # channels padded to 128
  vector = 128 * 4
  kernels = 9 * 8 * 128 * 4 + 8 * 128 * 4
  trained = kernels + 3 * vector  # gamma, beta, bias
  parts = core_memory.estimate(graph)
  assert parts.pop('weights') == trained + 2 * vector  # the moving averages
  assert parts.pop('slots of the optimizer') == trained
  assert parts.pop('gradients') == trained
  # [2, 16, 16, 3] with two sides of 16 last: 16 rows and 128 lanes.
  assert parts.pop('infeed') == 2 * 3 * 16 * 128 * 4
  # Mean and variance of the batch are kept, too.
  assert parts == {'activations of net': 3 * plane + 2 * vector}


@pytest.mark.parametrize(
  'optimizer, num_slots',
  [
    (tf.train.MomentumOptimizer(0.1, 0.9), 1),
    (tf.train.AdamOptimizer(0.1), 2),
    (tf.train.AdadeltaOptimizer(0.1), 2),
    (tf.train.AdagradOptimizer(0.1), 1),
    (tf.train.RMSPropOptimizer(0.1, momentum=0.9), 2),
    (tf.train.GradientDescentOptimizer(0.1), 0),
  ],
)
def test_slots_of_each_optimizer(optimizer, num_slots):
  graph, _ = _small_graph(optimizer)
  parts = core_memory.estimate(graph)
  assert parts['slots of the optimizer'] == num_slots * parts['gradients']
  assert parts['gradients'] > 0


def test_parting_images_divides_activations_and_not_weights():
  graph, _ = _small_graph()
  whole = core_memory.estimate(graph)
  parted = core_memory.estimate(graph, [1, 2, 1, 1])
  assert parted['infeed'] * 2 == whole['infeed']
  assert parted['weights'] == whole['weights']
  moments = 2 * 128 * 4
  name = 'activations of net'
  assert (parted[name] - moments) * 2 == whole[name] - moments


def _tiny_params(batch_size):
  return resolver.resolve(
    params_override=tiny_run.overrides(
      '',
      {'train': {'train_batch_size': batch_size}},
      {'eval': {'eval_batch_size': 8}},
    ),
    flags={'use_tpu': True},
  ).params


def _of_model(params):
  return core_memory.estimate(tpu_graph.build(params, tpu_graph.TRAIN))


@pytest.mark.slow
def test_activations_grow_with_the_batch_and_weights_do_not():
  small = _of_model(_tiny_params(8))
  large = _of_model(_tiny_params(16))
  assert large['infeed'] > small['infeed']
  for part in ('weights', 'slots of the optimizer', 'gradients'):
    assert large[part] == small[part]
  for network in ('resnet10', 'fpn', 'retinanet'):
    # From one image a replica to two; moments of batch norm do not grow.
    name = 'activations of ' + network
    assert 1.8 * small[name] < large[name] <= 2 * small[name]
