import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from executor.preflight import (
  device_bytes,
  kept_activations,
  layer_groups,
  layout,
  memory,
  static_shapes,
  tpu_graph,
  xla_kernels,
)
from modeling import model_stats
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
  assert device_bytes.padded_bytes(shape, dtype) == expected


def test_what_is_fed_arrives_in_the_order_that_pads_least():
  # 8 x 640 as rows and lanes, which are multiples of 8 and 128.
  expected = 8 * 640 * 640 * 3 * 2
  for shape in ([8, 640, 640, 3], [640, 640, 3, 8]):
    assert device_bytes.compact_bytes(shape, tf.bfloat16) == expected


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
    mode='train',
    graph=graph,
    operations=graph.get_operations(),
    infeed=[images],
    infeed_names=['images'],
    num_replicas=1,
    replica_batch_size=_BATCH,
  ), {'images': images, 'first': first, 'active': active, 'second': second}


def test_the_backward_pass_keeps_what_fusion_does_not_compute_again():
  graph, tensors = _small_graph()
  kept = kept_activations.KeptActivations(graph.operations, graph.infeed)
  rank_4 = [t for t in kept.find() if t.shape.ndims == 4]
  # The output of batch norm is not: relu's is there. Nor the biased output
  # and the sigmoid: they follow from the second convolution's.
  second = tensors['second'].op.inputs[0]
  assert rank_4 == [tensors['first'], tensors['active'], second]


def _estimate(graph, dims=None):
  return memory.estimate(graph, layer_groups.LayerGroups(_SIDE, 3), dims)


def test_memory_of_a_small_graph_as_computed_by_hand():
  graph, _ = _small_graph()
  needed = _estimate(graph)
  plane = _BATCH * _SIDE * _SIDE * 128 * 4  # channels padded to 128
  vector = 128 * 4
  kernels = 9 * 8 * 128 * 4 + 8 * 128 * 4
  trained = kernels + 3 * vector  # gamma, beta, bias
  by_group = {row.group: row for row in needed.rows}
  row = by_group['net, stride 1']
  assert row.num_parameters == 3 * 3 * 3 * 8 + 8 * 4 + 2 * 8 + 4
  assert row.weights == trained + 2 * vector  # and the moving averages
  assert row.slots == row.gradients == trained
  assert row.activations == 3 * plane
  # [2, 16, 16, 3] with two sides of 16 last: 16 rows and 128 lanes.
  assert needed.infeed == 2 * 3 * 16 * 128 * 4
  # What else is kept are mean and variance of the batch.
  others = sum(r.activations for r in needed.rows) - row.activations
  assert others == 2 * vector
  assert needed.total == sum(r.total for r in needed.rows) + needed.infeed


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
  needed = _estimate(graph)
  row = max(needed.rows, key=lambda row: row.num_parameters)
  assert row.slots == num_slots * row.gradients
  assert row.gradients > 0


def test_parting_images_divides_activations_and_not_weights():
  graph, _ = _small_graph()
  whole, parted = _estimate(graph), _estimate(graph, [1, 2, 1, 1])
  assert parted.infeed * 2 == whole.infeed
  rows = zip(whole.rows, parted.rows)
  for one, other in rows:
    assert one.weights == other.weights
    if one.group.endswith('stride 1'):
      assert other.activations * 2 == one.activations


def _tiny_params(batch_size=8, **train):
  return resolver.resolve(
    params_override=tiny_run.overrides(
      '',
      {'train': {'train_batch_size': batch_size, **train}},
      {'eval': {'eval_batch_size': 8}},
    ),
    flags={'use_tpu': True},
  ).params


def _of_model(params):
  graph = tpu_graph.build(params, tpu_graph.TRAIN)
  groups = layer_groups.LayerGroups(
    layout.padded_size(params)[0], params.architecture.min_level
  )
  return graph, memory.estimate(graph, groups)


def test_a_model_has_all_its_parameters_and_grows_with_the_batch():
  graph, small = _of_model(_tiny_params(8))
  with graph.graph.as_default():
    assert small.num_parameters == model_stats.count_parameters()
  _, large = _of_model(_tiny_params(16))
  assert large.num_parameters == small.num_parameters
  assert large.infeed > small.infeed
  for column in ('weights', 'slots', 'gradients'):
    assert sum(getattr(r, column) for r in large.rows) == sum(
      getattr(r, column) for r in small.rows
    )
  activations = [sum(r.activations for r in m.rows) for m in (small, large)]
  # From one image a replica to two; moments of batch norm do not grow.
  assert 1.9 * activations[0] < activations[1] <= 2 * activations[0]
  names = {row.group for row in small.rows}
  assert {
    'resnet10, stride 4',
    'fpn, stride 8',
    'class_net, level 3',
    'retinanet, all levels',
  } <= names


def test_a_batch_in_parts_keeps_what_a_part_needs():
  """Activations of a batch of the size of a part, in the same groups."""
  _, whole = _of_model(_tiny_params(16))
  params = _tiny_params(16, gradient_accumulation_steps=2)
  graph, in_parts = _of_model(params)
  rows = {row.group: row for row in in_parts.rows}
  for row in whole.rows:
    assert rows[row.group].num_parameters == row.num_parameters, row.group
    assert rows[row.group].weights == row.weights, row.group
    assert rows[row.group].gradients == row.gradients, row.group
    if 'stride' in row.group or row.group.endswith(('3', '4', '5')):
      # Moments of batch norm do not depend on the batch.
      ratio = rows[row.group].activations / row.activations
      assert 0.5 <= ratio < 0.55, row.group
  assert in_parts.infeed == whole.infeed
  assert xla_kernels.find_offenders(graph.operations) == []
  assert static_shapes.find_offenders(graph.operations) == []
