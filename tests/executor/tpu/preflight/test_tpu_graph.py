"""The graph of a TPU run, built by `TPUEstimator` on a TPU that is made up."""

import collections

import pytest
import tensorflow.compat.v1 as tf
from tensorflow.compiler.xla import xla_data_pb2

from configs import resolver
from executor.tpu.preflight import graph_checks, tpu_graph
from modeling.architecture import batch_norm
from tests import tiny_run
from utils import errors


def resolve(*changes, model_dir=None):
  """The tiny config on a TPU with 8 cores."""
  sizes = {
    'train': {'train_batch_size': 16},
    'eval': {'eval_batch_size': 8},
  }
  merged = tiny_run.overrides('none', sizes)
  for change in changes:
    for block, values in change.items():
      merged.setdefault(block, {}).update(values)
  return resolver.resolve(
    params_override=merged, flags={'use_tpu': True, 'model_dir': model_dir}
  ).params


@pytest.fixture(scope='module')
def training():
  return tpu_graph.build(resolve(), 'train')


def _types(graph):
  return collections.Counter(op.type for op in graph.operations)


def test_training(training):
  graph = training
  assert (graph.num_replicas, graph.replica_batch_size) == (8, 2)
  images, *labels = graph.infeed
  # Batch last, as the host of a TPU delivers images.
  assert (images.shape, images.dtype) == ([64, 64, 3, 2], tf.bfloat16)
  assert [2, 8, 8, 1] in [t.shape for t in labels]
  types = _types(graph)
  # The loop over steps, the average over replicas of each gradient and of the
  # number of positive anchors, the update, the host call.
  assert types['LoopCond'] == 1
  num_trained = len(graph.graph.get_collection('trainable_variables'))
  assert types['ResourceApplyMomentum'] == num_trained > 0
  assert types['CrossReplicaSum'] == num_trained + 1
  assert types['OutfeedEnqueueTuple'] == 1
  convolutions = [op for op in graph.operations if op.type == 'Conv2D']
  assert {op.outputs[0].dtype for op in convolutions} == {tf.bfloat16}


def test_a_tpu_has_tensorflows_own_gradients(training):
  """Those that are fast on a CPU make convolutions of transposed images."""
  types = _types(training)
  assert types['Conv2DBackpropFilter'] == types['Conv2D']
  assert types['FusedBatchNormGradV3'] == types['FusedBatchNormV3'] > 0
  assert not types['MatMul']
  # Of the images; no kernel is turned round.
  assert types['Transpose'] == 1


def test_losses_and_updates_are_float32(training):
  for op in training.operations:
    if 'losses/' in op.name and op.type in ('Sum', 'Exp', 'Log1p', 'RealDiv'):
      assert tf.bfloat16 not in [t.dtype for t in op.outputs], op.name
    if op.type == 'ResourceApplyMomentum':
      assert op.get_attr('T') == tf.float32


@pytest.mark.parametrize('eval_type', ['box', 'customized'])
def test_evaluation(eval_type):
  graph = tpu_graph.build(resolve({'eval': {'type': eval_type}}), 'eval')

  assert (graph.num_replicas, graph.replica_batch_size) == (8, 1)
  assert graph.infeed[0].shape == [1, 64, 64, 3]
  (outfeed,) = [
    op for op in graph.operations if op.type == 'OutfeedEnqueueTuple'
  ]
  sent = {t.shape.as_list()[0] for t in outfeed.inputs}
  assert sent == {1}
  assert not _types(graph)['CrossReplicaSum']
  assert graph_checks.without_kernel(graph.operations) == []
  assert graph_checks.without_shape(graph.operations) == []


@pytest.mark.slow
def test_a_pod_trains_with_shared_moments_and_evaluates_on_one_host():
  changes = {
    'train': {'num_shards': 16},
    'eval': {'eval_batch_size': 16},
    'batch_norm_activation': {'use_sync_bn': True},
    'retinanet_loss': {'normalizer_momentum': 0.9},
  }
  graph = tpu_graph.build(resolve(changes), 'train')
  assert (graph.num_replicas, graph.replica_batch_size) == (16, 1)
  types = _types(graph)
  num_layers = len(
    [
      v
      for v in graph.graph.get_collection('variables')
      if 'moving_mean' in v.name
    ]
  )
  # Mean and variance and their gradients, the gradient of each variable, and
  # the number of positive anchors.
  assert types['CrossReplicaSum'] == (
    4 * num_layers + types['ResourceApplyMomentum'] + 1
  )
  assert not types['FusedBatchNormV3']
  assert not graph_checks.without_kernel(graph.operations)
  assert not graph_checks.without_shape(graph.operations)
  assert tpu_graph.build(resolve(changes), 'eval').num_replicas == 8


def test_images_are_divided_among_the_cores_of_a_replica():
  # One image for each replica, and less than one for each core.
  graph = tpu_graph.build(
    resolve(
      {
        'train': {
          'train_batch_size': 4,
          'num_cores_per_replica': 2,
          'input_partition_dims': [[1, 2, 1, 1], None],
        }
      }
    ),
    'train',
  )
  assert (graph.num_replicas, graph.replica_batch_size) == (4, 1)
  images = graph.infeed[0]
  # What XLA divides is whole in the graph.
  assert images.shape == [64, 64, 3, 1]
  sharding = xla_data_pb2.OpSharding.FromString(
    images.op.get_attr('_XlaSharding')
  )
  for i, part in enumerate(sharding.tuple_shardings):
    if i == 0:
      # Height comes first in transposed images.
      assert part.tile_assignment_dimensions == [2, 1, 1, 1]
      assert part.tile_assignment_devices == [0, 1]
    else:
      assert part.type == xla_data_pb2.OpSharding.REPLICATED
  assert len(sharding.tuple_shardings) == len(graph.infeed) > 1


@pytest.mark.slow
@pytest.mark.parametrize('parts', [(4, 4), (8, 4), (8, 8), (16, 8)])
def test_a_replica_may_have_the_cores_of_several_hosts(parts):
  num_cores = parts[0] * parts[1]
  changes = {
    'train': {
      'num_shards': 128,
      'train_batch_size': 128 // num_cores,
      'num_cores_per_replica': num_cores,
      'input_partition_dims': [[1, *parts, 1], None],
    },
    'retinanet_parser': {'output_size': [64, 64]},
  }
  graph = tpu_graph.build(resolve(changes), 'train')
  assert graph.num_replicas == 128 // num_cores
  assert graph.replica_batch_size == 1


def test_without_a_tpu_or_with_an_unknown_mode():
  params = resolver.resolve(params_override=tiny_run.overrides('none')).params
  with pytest.raises(errors.ConfigError, match='--use_tpu'):
    tpu_graph.build(params, 'train')
  with pytest.raises(ValueError, match='train, eval'):
    tpu_graph.build(resolve(), 'infer')


def test_what_the_estimator_refuses_is_an_error_of_the_user(monkeypatch):
  def fails(*args):
    raise ValueError('no such thing')

  monkeypatch.setattr(batch_norm.BatchNormActivation, '__call__', fails)
  with pytest.raises(errors.UserError, match="'train'.*no such thing"):
    tpu_graph.build(resolve(), 'train')


def test_nothing_is_read_or_written(tmp_path):
  missing = str(tmp_path / 'none')
  params = resolve(
    {'train': {'checkpoint': {'path': missing}}}, model_dir=str(tmp_path)
  )
  # In training checkpoints are looked for and summaries written.
  tpu_graph.build(params, 'train')
  assert params.train.checkpoint.path == missing
  assert params.model_dir == str(tmp_path)
  assert not list(tmp_path.iterdir())
