"""What a TPU cannot compile is found, with its place and its config key."""

import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import function, kernels
from tensorflow.python.ops import while_v2

from executor.tpu.preflight import static_shapes, tpu_graph, xla_kernels
from ops import postprocess_ops
from tests.executor.tpu.preflight import test_tpu_graph


def _kernels(build):
  with tf.Graph().as_default() as graph:
    build()
    return xla_kernels.find_offenders(graph.get_operations())


def _shapes(build):
  with tf.Graph().as_default() as graph:
    build()
    return static_shapes.find_offenders(graph.get_operations())


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
  assert where.scope == 'resnet50/block_group1'
  assert 'no kernel' in where.reason
  assert (unique.op_type, unique.scope) == ('Unique', '')


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
  @function.Defun(tf.float32)
  def resize(x):
    return tf.image.resize_nearest_neighbor(x, [4, 4])

  def build():
    resize(tf.zeros([1, 2, 2, 1]), name='call')
    with tf.name_scope('spinenet'):
      tf.image.resize_nearest_neighbor(tf.zeros([1, 2, 2, 1]), [4, 4])
    tf.image.resize_nearest_neighbor(
      tf.zeros([1, 2, 2, 1]), [4, 4], align_corners=True
    )

  in_function, resized = _kernels(build)
  assert resized.op_name == 'spinenet/ResizeNearestNeighbor'
  assert resized.reason == "XLA's kernel refuses align_corners=False"
  assert in_function.op_name == 'call > ResizeNearestNeighbor'


def test_functions_are_looked_into():
  @function.Defun(tf.float32)
  def inner(x):
    return tf.cast(tf.where(x > 0.0), tf.float32)

  @function.Defun(tf.float32)
  def outer(x):
    return inner(x + 1.0)

  def build():
    with tf.name_scope('losses'):
      outer(tf.zeros([2]), name='call')

  (offender,) = _kernels(build)
  assert offender.op_type == 'Where'
  assert offender.op_name.startswith('losses/call > ')
  assert offender.op_name.count(' > ') == 2
  assert offender.scope == 'losses'


def test_bodies_of_functional_loops_are_looked_into():
  def build():
    while_v2.while_loop(
      lambda i: i < 3,
      lambda i: i + tf.size(tf.where(i > 1)),
      [tf.constant(0)],
    )

  assert 'Where' in {o.op_type for o in _kernels(build)}


def test_every_exception_is_needed():
  """An operation that XLA compiles after all needs no reason why not."""
  xla_kernels._load_kernels()
  for op_type, reason in xla_kernels.WITHOUT_KERNEL.items():
    devices = {
      kernel.device_type
      for kernel in kernels.get_registered_kernels_for_op(op_type).kernel
    }
    assert 'XLA_CPU_JIT' not in devices, op_type
    assert reason


def test_shapes():
  def build():
    with tf.name_scope('fpn'):
      tf.reshape(tf.ones([4]), tf.placeholder(tf.int32, [2]))
    tf.placeholder(tf.float32)

  reshape, placeholder = _shapes(build)
  assert (reshape.op_name, reshape.scope) == ('fpn/Reshape', 'fpn')
  assert reshape.shape == '(?, ?)'
  assert placeholder.shape == '<unknown>'


@pytest.fixture
def combined_nms():
  """TensorFlow's own batched NMS, as an `nms_version`."""

  def suppress(boxes, scores, params):
    results = tf.image.combined_non_max_suppression(
      boxes[:, :, None], scores, params.max_total_size, params.max_total_size
    )
    boxes, scores, classes, count = results
    return {
      'num_detections': count,
      'detection_boxes': boxes,
      'detection_classes': classes,
      'detection_scores': scores,
    }

  postprocess_ops.NMS_VERSIONS.register('combined')(suppress)
  yield 'combined'
  del postprocess_ops.NMS_VERSIONS._entries['combined']


def test_an_nms_for_cpus_is_found_in_the_graph_of_evaluation(combined_nms):
  params = test_tpu_graph.resolve(
    {'postprocess': {'nms_version': combined_nms}}
  )
  graph = tpu_graph.build(params, 'eval')
  (offender,) = xla_kernels.find_offenders(graph.operations)
  assert offender.op_type == 'CombinedNonMaxSuppression'
  assert offender.scope == 'detections/combined_non_max_suppression'


def test_every_nms_of_the_project_can_be_compiled():
  for version in ('v2', 'batched'):
    params = test_tpu_graph.resolve({'postprocess': {'nms_version': version}})
    graph = tpu_graph.build(params, 'eval')
    assert xla_kernels.find_offenders(graph.operations) == []
    assert static_shapes.find_offenders(graph.operations) == []
