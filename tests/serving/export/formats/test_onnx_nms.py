"""NMS in ONNX operators gives what `ops` gives."""

import types

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow.compat.v1 as tf
from onnx import helper

from ops import postprocess_ops
from serving.export.formats import onnx_nms

_VERSIONS = ('v1', 'v2', 'batched')
_OUTPUTS = (
  'num_detections',
  'detection_boxes',
  'detection_classes',
  'detection_scores',
)


def _settings(version, **changes):
  values = {
    'use_batched_nms': False,
    'nms_version': version,
    'max_total_size': 12,
    'nms_iou_threshold': 0.5,
    'score_threshold': 0.1,
    'pre_nms_num_boxes': 5000,
    'class_agnostic_nms': False,
    **changes,
  }
  return types.SimpleNamespace(**values)


def _run_onnx(boxes, scores, settings):
  num_boxes, num_classes = scores.shape[1:]
  float32 = onnx.TensorProto.FLOAT

  def info(name, shape, dtype=float32):
    return helper.make_tensor_value_info(name, dtype, shape)

  graph = helper.make_graph(
    [],
    'nms',
    [
      info('raw_boxes', ['batch', num_boxes, 1, 4]),
      info('raw_scores', ['batch', num_boxes, num_classes]),
    ],
    [],
  )
  has_float_classes = settings.nms_version == 'batched'
  onnx_nms.append(
    graph,
    'raw_boxes',
    'raw_scores',
    num_boxes,
    settings,
    has_float_classes,
  )
  slots = ['batch', settings.max_total_size]
  int32 = onnx.TensorProto.INT32
  graph.output.extend(
    [
      info('num_detections', ['batch'], int32),
      info('detection_boxes', slots + [4]),
      info(
        'detection_classes',
        slots,
        float32 if has_float_classes else int32,
      ),
      info('detection_scores', slots),
    ]
  )
  model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8
  )
  onnx.checker.check_model(model)
  session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=['CPUExecutionProvider']
  )
  feed = {'raw_boxes': boxes[:, :, None], 'raw_scores': scores}
  return dict(zip(_OUTPUTS, session.run(_OUTPUTS, feed)))


def _run_ops(boxes, scores, version, settings):
  with tf.Graph().as_default(), tf.Session() as session:
    suppress = postprocess_ops.NMS_VERSIONS.get(version)
    return session.run(
      suppress(tf.constant(boxes), tf.constant(scores), settings)
    )


def _check(boxes, scores, version, **changes):
  boxes, scores = np.float32(boxes), np.float32(scores)
  settings = _settings(version, **changes)
  expected = _run_ops(boxes, scores, version, settings)
  got = _run_onnx(boxes, scores, settings)
  for key in _OUTPUTS:
    assert got[key].dtype == expected[key].dtype, key
    np.testing.assert_allclose(
      got[key], expected[key], rtol=1e-6, atol=1e-6, err_msg=key
    )
  return got


def _random(seed, num_boxes=60, num_classes=3, batch=2, ties=False):
  draw = np.random.RandomState(seed)
  corners = draw.uniform(0, 50, [batch, num_boxes, 2])
  sides = draw.uniform(5, 40, [batch, num_boxes, 2])
  # Some without area.
  sides *= draw.uniform(size=sides.shape) > 0.1
  scores = draw.uniform(size=[batch, num_boxes, num_classes])
  if ties:
    scores = np.round(scores, 1)
  return np.concatenate([corners, corners + sides], axis=2), scores


@pytest.mark.parametrize('version', _VERSIONS)
@pytest.mark.parametrize('ties', [False, True])
def test_random_boxes(version, ties):
  got = _check(*_random(0, batch=8, ties=ties), version)
  assert got['num_detections'].min() > 3


@pytest.mark.parametrize('version', _VERSIONS)
@pytest.mark.parametrize('limit', [7, 5000])
def test_one_class_at_a_place(version, limit):
  boxes, scores = _random(3, num_boxes=80, ties=limit == 5000)
  changes = {'max_total_size': 60, 'pre_nms_num_boxes': limit}
  free = _check(boxes, scores, version, **changes)
  got = _check(boxes, scores, version, class_agnostic_nms=True, **changes)
  assert (got['num_detections'] < free['num_detections']).all()
  assert set(got['detection_classes'][got['detection_scores'] > 0]) == {1, 2, 3}


@pytest.mark.parametrize('version', _VERSIONS)
@pytest.mark.parametrize('class_agnostic', [False, True])
def test_free_slots(version, class_agnostic):
  boxes, scores = _random(1, num_boxes=5, batch=3)
  scores[0] = 0.0
  got = _check(
    boxes,
    scores,
    version,
    max_total_size=40,
    class_agnostic_nms=class_agnostic,
  )
  assert got['num_detections'][0] == 0
  assert got['num_detections'].max() < 40


@pytest.mark.parametrize('version', ['v1', 'v2'])
@pytest.mark.parametrize('limit', [1, 7])
def test_only_the_best_candidates_of_a_class(version, limit):
  boxes, scores = _random(2, num_boxes=80)
  free = _check(boxes, scores, version, max_total_size=60)
  got = _check(
    boxes,
    scores,
    version,
    max_total_size=60,
    pre_nms_num_boxes=limit,
  )
  assert got['num_detections'].max() <= 3 * limit
  assert (got['num_detections'] < free['num_detections']).all()


@pytest.mark.parametrize('version', _VERSIONS)
def test_overlap_of_exactly_the_threshold(version):
  boxes = [[[0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30]]]
  got = _check(boxes, [[[0.9], [0.8], [0.7]]], version)
  assert got['num_detections'][0] == (3 if version == 'batched' else 2)
