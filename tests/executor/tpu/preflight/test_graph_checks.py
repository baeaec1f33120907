"""What a TPU cannot compile is found, with its place and its config key."""

import json

import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import kernels

from configs import resolver
from executor.tpu.preflight import background_check, graph_checks
from ops import postprocess_ops
from tests import tiny_run

_BATCHES = {'train': {'train_batch_size': 8}, 'eval': {'eval_batch_size': 8}}


def _params(*changes):
  return resolver.resolve(
    params_override=json.dumps(tiny_run.overrides('', _BATCHES, *changes)),
    flags={'use_tpu': True},
    mode='tpu_preflight',
  ).params


def _kernels(build):
  with tf.Graph().as_default() as graph:
    build()
    return graph_checks.without_kernel(graph.get_operations())


def _shapes(build):
  with tf.Graph().as_default() as graph:
    build()
    return graph_checks.without_shape(graph.get_operations())


def test_a_graph_that_can_be_compiled():
  def build():
    x = tf.while_loop(lambda x: x < 3.0, lambda x: x + 1.0, [tf.zeros([])])
    tf.nn.conv2d(
      tf.ones([1, 4, 4, 2], tf.bfloat16) * tf.cast(x, tf.bfloat16),
      tf.ones([1, 1, 2, 3], tf.bfloat16),
      1,
      'SAME',
    )

  assert _kernels(build) == []
  assert _shapes(build) == []


def test_operations_without_a_kernel():
  def build():
    with tf.name_scope('resnet50/block_group1'):
      tf.where([True, False])
    tf.unique([1, 2])

  where, unique = _kernels(build)
  assert where.op_type == 'Where'
  assert where.op_name == 'resnet50/block_group1/Where'
  assert 'no kernel' in where.reason
  assert unique.op_type == 'Unique'


def test_types_without_a_kernel():
  def build():
    tf.nn.top_k(tf.ones([3], tf.bfloat16))
    tf.nn.top_k(tf.ones([3], tf.uint16))
    tf.ones([3], tf.float64) + 1.0

  offenders = _kernels(build)
  assert [o.op_type for o in offenders if 'TopK' in o.op_type] == ['TopKV2']
  (top,) = [o for o in offenders if o.op_type == 'TopKV2']
  assert top.reason == 'XLA has no kernel for it in uint16'
  assert 'a TPU does not compute in float64' in {o.reason for o in offenders}


def test_attributes_that_a_kernel_refuses():
  def build():
    with tf.name_scope('spinenet'):
      tf.image.resize_nearest_neighbor(tf.zeros([1, 2, 2, 1]), [4, 4])
    tf.image.resize_nearest_neighbor(
      tf.zeros([1, 2, 2, 1]), [4, 4], align_corners=True
    )

  (resized,) = _kernels(build)
  assert resized.op_name == 'spinenet/ResizeNearestNeighbor'
  assert resized.reason == "XLA's kernel refuses align_corners=False"


def test_every_exception_is_needed():
  """An operation that XLA compiles after all needs no reason why not."""
  graph_checks._load_kernels()
  for op_type in graph_checks.WITHOUT_KERNEL:
    devices = {
      kernel.device_type
      for kernel in kernels.get_registered_kernels_for_op(op_type).kernel
    }
    assert 'XLA_CPU_JIT' not in devices, op_type


def test_shapes():
  def build():
    with tf.name_scope('fpn'):
      tf.reshape(tf.ones([4]), tf.placeholder(tf.int32, [2]))
    tf.placeholder(tf.float32)

  reshape, placeholder = _shapes(build)
  assert reshape == ('Reshape', 'fpn/Reshape', 'no static shape')
  assert placeholder.op_type == 'Placeholder'


def test_an_operation_without_a_kernel_is_named_with_its_layer(monkeypatch):
  def combined(boxes, scores, params):
    found = tf.image.combined_non_max_suppression(
      boxes[:, :, tf.newaxis], scores, 10, params.max_total_size
    )
    return {
      'num_detections': found.valid_detections,
      'detection_boxes': found.nmsed_boxes,
      'detection_classes': found.nmsed_classes,
      'detection_scores': found.nmsed_scores,
    }

  versions = postprocess_ops.NMS_VERSIONS
  monkeypatch.setitem(versions._entries, 'batched', combined)
  params = _params({'postprocess': {'nms_version': 'batched'}})
  report, graph = graph_checks.check(params, 'eval')
  (problem,) = report.problems
  assert problem.startswith('CombinedNonMaxSuppression in eval, operation ')
  assert "(layer 'detections/combined_non_max_suppression')" in problem
  assert report.num_without_kernel == 1
  assert report.num_operations == len(graph.operations)


def test_a_batch_that_does_not_divide_hides_nothing():
  sizes = {
    'train': {'train_batch_size': 30},
    'eval': {'eval_batch_size': 5},
  }
  report, graph = graph_checks.check(_params(sizes), 'train')
  assert report.replica_batch_size == 3
  assert report.num_operations == len(graph.operations)
  assert report.problems == []


@pytest.mark.slow
def test_a_process_beside_this_one_finds_the_same():
  params = _params()
  with background_check.check_beside(params, 'eval') as report:
    there = report()
  here, _ = graph_checks.check(params, 'eval')
  assert there._replace(seconds=0) == here._replace(seconds=0)


def test_a_process_that_ends_early_is_no_empty_report():
  with background_check.check_beside(_params(), 'no such mode') as report:
    with pytest.raises(RuntimeError, match='exit code 1'):
      report()
