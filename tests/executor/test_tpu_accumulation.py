"""A batch in parts, in the graph that a TPU would be given."""

import collections

import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from executor.tpu.preflight import (
  core_memory,
  graph_checks,
  kept_activations,
  tpu_graph,
)
from tests import tiny_run


@pytest.fixture(scope='module')
def graph():
  """Of 8 cores with two images each, one at a time."""
  train = {'train_batch_size': 16, 'gradient_accumulation_steps': 2}
  params = resolver.resolve(
    params_override=tiny_run.overrides('none', {'train': train}),
    flags={'use_tpu': True},
  ).params
  return tpu_graph.build(params, 'train')


def _is_in_a_part(op):
  """Whether it is in the loop over the parts, inside of that over steps."""
  context = op._get_control_flow_context()
  return context is not None and 'accumulation' in context.name


def test_a_part_is_computed_at_a_time(graph):
  assert (graph.num_replicas, graph.replica_batch_size) == (8, 2)
  assert graph.infeed[0].shape == [64, 64, 3, 2]
  convolutions = [op for op in graph.operations if op.type == 'Conv2D']
  assert convolutions
  for op in convolutions:
    assert _is_in_a_part(op)
    assert op.inputs[0].shape[0] == 1
    assert op.outputs[0].dtype == tf.bfloat16


def test_cores_exchange_the_sums_of_all_parts(graph):
  types = collections.Counter(op.type for op in graph.operations)
  num_trained = len(graph.graph.get_collection('trainable_variables'))
  # Each gradient, and the number of positive anchors.
  assert types['CrossReplicaSum'] == num_trained + 1
  assert types['ResourceApplyMomentum'] == num_trained > 0
  assert types['LoopCond'] == 2
  once = ('CrossReplicaSum', 'ResourceApplyMomentum', 'InfeedDequeueTuple')
  for op in graph.operations:
    if op.type in once:
      assert not _is_in_a_part(op), op.name
    if op.type == 'NextIteration' and _is_in_a_part(op):
      assert op.outputs[0].dtype in (tf.float32, tf.int32), op.name


def test_xla_takes_it(graph):
  assert not graph_checks.without_kernel(graph.operations)
  assert not graph_checks.without_shape(graph.operations)


def test_what_is_kept_is_of_one_part(graph):
  kept = kept_activations.find_kept(graph.operations, graph.infeed)
  assert len(kept) > 50
  for tensor in kept:
    assert _is_in_a_part(tensor.op), tensor
    if tensor.shape.ndims == 4:
      assert tensor.shape[0] == 1, tensor
  parts = core_memory.estimate(graph)
  for network in ('resnet10', 'fpn', 'retinanet'):
    assert parts['activations of ' + network] > 0
