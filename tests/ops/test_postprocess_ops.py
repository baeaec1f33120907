"""The detection generator: golden numbers, written-out cases, graph."""

import logging
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import postprocess_ops
from tests import golden_boxes, golden_numbers
from utils import errors

_VERSIONS = ['v1', 'v2', 'batched']


def _params(**changes):
  params = {
    'apply_nms': True,
    'use_batched_nms': False,
    'nms_version': 'v1',
    'max_total_size': 100,
    'nms_iou_threshold': 0.5,
    'score_threshold': 0.05,
    'pre_nms_num_boxes': 5000,
    'class_agnostic_nms': False,
    'apply_sigmoid': True,
  }
  params.update(changes)
  return types.SimpleNamespace(**params)


def _logit(p):
  return np.log(p / (1.0 - p))


def _one_level(boxes, scores, image_shape=(100, 100), **changes):
  """Runs on boxes [batch, n, 4] given as anchors and scores [batch, n, c]."""
  boxes = np.asarray(boxes, np.float32)
  scores = np.asarray(scores, np.float64)
  batch_size, num_boxes, num_classes = scores.shape
  # A column of background, certain everywhere.
  scores = np.concatenate(
    [np.full([batch_size, num_boxes, 1], 0.99), scores], axis=-1
  )
  logits = _logit(scores).reshape(batch_size, 1, num_boxes, num_classes + 1)
  generator = postprocess_ops.MultilevelDetectionGenerator(
    3, 3, _params(**changes)
  )
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(
      generator(
        {3: tf.zeros([batch_size, 1, num_boxes, 4])},
        {3: tf.constant(logits, tf.float32)},
        {3: tf.constant(boxes)},
        tf.constant([[image_shape]] * batch_size, tf.float32),
      )
    )


def _head_outputs(size, num_classes, batch_size, seed=0):
  """The inputs behind the golden numbers; one image's anchors."""
  rng = np.random.RandomState(seed)
  boxes, logits, anchors = {}, {}, {}
  for level in range(3, 8):
    stride = 2**level
    side = -(-size // stride)
    shape = (batch_size, side, side)
    boxes[level] = rng.standard_normal(shape + (36,)).astype(np.float32) * 0.05
    logits[level] = rng.standard_normal(shape + (9 * num_classes,))
    logits[level] = logits[level].astype(np.float32) * 2 - 3
    center = (np.arange(side) + 0.5) * stride
    y, x = np.meshgrid(center, center, indexing='ij')
    radii = [stride * (2 + i / 3.0) for i in range(9)]
    anchors[level] = np.stack(
      [np.stack([y - r, x - r, y + r, x + r], -1) for r in radii], axis=2
    ).reshape([1, -1, 4])
    anchors[level] = anchors[level].astype(np.float32)
  return boxes, logits, anchors


def _build(size, num_classes, batch_size, anchors_per_image=False, **changes):
  boxes, logits, anchors = _head_outputs(size, num_classes, batch_size)
  if anchors_per_image:
    anchors = {k: np.tile(v, [batch_size, 1, 1]) for k, v in anchors.items()}
  generator = postprocess_ops.MultilevelDetectionGenerator(
    3, 7, _params(**changes)
  )
  return generator(
    {k: tf.constant(v) for k, v in boxes.items()},
    {k: tf.constant(v) for k, v in logits.items()},
    {k: tf.constant(v) for k, v in anchors.items()},
    tf.constant([[[size, size]]] * batch_size, tf.float32),
  )


@pytest.mark.parametrize('anchors_per_image', [True, False])
@pytest.mark.parametrize(
  'name,size,num_classes,batch_size,changes',
  [
    ('nms_v1', 128, 6, 2, {'nms_version': 'v1'}),
    ('nms_v2', 128, 6, 2, {'nms_version': 'v2'}),
    ('nms_batched', 128, 6, 2, {'nms_version': 'batched'}),
    ('nms_raw', 64, 3, 1, {'apply_nms': False}),
  ],
)
def test_golden(
  name, size, num_classes, batch_size, changes, anchors_per_image
):
  want = golden_numbers.expected(name + '.npz')
  with tf.Graph().as_default(), tf.Session() as session:
    got = session.run(
      _build(size, num_classes, batch_size, anchors_per_image, **changes)
    )
  assert sorted(got) == sorted(want)
  for key in want:
    assert golden_numbers.relative_error(want[key], got[key]) < 1e-6, key
    assert got[key].dtype == want[key].dtype, key


@pytest.mark.parametrize(
  'version,count', [('v1', 1), ('v2', 1), ('batched', 2)]
)
def test_overlap_of_exactly_the_threshold(version, count):
  got = _one_level(
    [[[0, 0, 2, 2], [0, 0, 2, 1]]], [[[0.9], [0.8]]], nms_version=version
  )
  assert got['num_detections'][0] == count


@pytest.mark.parametrize(
  'version,score,box',
  [
    ('v1', -1.0, [3, 3, 8, 8]),
    ('v2', -1.0, [0, 0, 0, 0]),
    ('batched', 0.0, [0, 0, 0, 0]),
  ],
)
def test_free_slots(version, score, box):
  boxes = [[[0, 0, 9, 9], [3, 3, 8, 8]]] * 2
  # Class 1 has no candidate; its best box is the second.
  scores = [[[0.01, 0.9], [0.02, 0.03]], [[0.01, 0.02], [0.02, 0.03]]]
  got = _one_level(boxes, scores, nms_version=version, max_total_size=3)
  np.testing.assert_array_equal(got['num_detections'], [1, 0])
  np.testing.assert_allclose(
    got['detection_scores'], [[0.9, score, score], [score] * 3], rtol=1e-5
  )
  np.testing.assert_array_equal(
    got['detection_classes'], [[2, 1, 1], [1, 1, 1]]
  )
  np.testing.assert_allclose(
    got['detection_boxes'], [[[0, 0, 9, 9], box, box], [box] * 3], atol=1e-5
  )
  dtype = np.float32 if version == 'batched' else np.int32
  assert got['detection_classes'].dtype == dtype
  assert got['num_detections'].dtype == np.int32


@pytest.mark.parametrize('version', _VERSIONS)
def test_boxes_clipped_away_at_the_border_are_not_detected(version):
  boxes = [[[10, 120, 30, 150], [-9, 5, -2, 20], [40, 40, 60, 60]]]
  got = _one_level(boxes, [[[0.9], [0.8], [0.3]]], nms_version=version)
  np.testing.assert_array_equal(got['num_detections'], [1])
  np.testing.assert_allclose(
    got['detection_boxes'][0, 0], [40, 40, 60, 60], atol=1e-4
  )


@pytest.mark.parametrize('version', _VERSIONS)
def test_batch_of_boxes_without_area(version):
  got = _one_level(
    np.zeros([2, 3, 4]),
    np.full([2, 3, 2], 0.9),
    nms_version=version,
    max_total_size=5,
  )
  np.testing.assert_array_equal(got['num_detections'], [0, 0])
  assert all(np.isfinite(value).all() for value in got.values())


def test_boxes_are_clipped_to_height_and_width_of_their_image():
  boxes = np.tile(np.float32([-5, -7, 200, 300]), [2, 1, 1])
  shape = np.float32([[[50, 80]], [[60, 40]]])
  with tf.Graph().as_default(), tf.Session() as session:
    got = session.run(
      postprocess_ops.clip_boxes(tf.constant(boxes), tf.constant(shape))
    )
  np.testing.assert_array_equal(got, [[[0, 0, 49, 79]], [[0, 0, 59, 39]]])


@pytest.mark.parametrize('version', ['v1', 'v2'])
def test_candidates_per_class_are_limited(version):
  boxes = [[[10 * i, 0, 10 * i + 5, 5] for i in range(4)]]
  scores = [[[0.9, 0.2], [0.8, 0.3], [0.7, 0.4], [0.6, 0.5]]]
  got = _one_level(boxes, scores, nms_version=version, pre_nms_num_boxes=2)
  np.testing.assert_allclose(
    got['detection_scores'][0, :5], [0.9, 0.8, 0.5, 0.4, -1.0], rtol=1e-5
  )


@pytest.mark.parametrize('version', _VERSIONS)
@pytest.mark.parametrize(
  'changes, scores, classes',
  [
    ({'class_agnostic_nms': False}, [0.8, 0.7, 0.4, 0.4], [2, 1, 1, 2]),
    # The third box fits both classes alike.
    ({'class_agnostic_nms': True}, [0.8, 0.4], [2, 1]),
    ({'class_agnostic_nms': True, 'score_threshold': 0.5}, [0.8], [2]),
  ],
)
def test_one_class_at_a_place(version, changes, scores, classes):
  boxes = [[[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]]]
  of_boxes = [[[0.3, 0.8], [0.7, 0.1], [0.4, 0.4]]]
  got = _one_level(
    boxes, of_boxes, nms_version=version, max_total_size=6, **changes
  )
  count = len(scores)
  np.testing.assert_array_equal(got['num_detections'], [count])
  np.testing.assert_allclose(
    got['detection_scores'][0, :count], scores, rtol=1e-5
  )
  assert got['detection_classes'][0].tolist() == classes + [1] * (6 - count)


@pytest.mark.parametrize('version', ['v1', 'v2'])
def test_candidates_of_all_classes_are_limited_as_one(version):
  boxes = [[[10 * i, 0, 10 * i + 5, 5] for i in range(4)]]
  scores = [[[0.9, 0.2], [0.1, 0.8], [0.7, 0.4], [0.6, 0.5]]]
  got = _one_level(
    boxes,
    scores,
    nms_version=version,
    pre_nms_num_boxes=2,
    class_agnostic_nms=True,
  )
  np.testing.assert_array_equal(got['num_detections'], [2])
  np.testing.assert_array_equal(got['detection_classes'][0, :2], [1, 2])


@pytest.mark.parametrize('version', _VERSIONS)
def test_logits_as_scores(version):
  boxes = [[[0, 0, 5, 5], [10, 0, 15, 5], [20, 0, 25, 5], [30, 0, 35, 5]]]
  logits = np.array([[[2.0], [-0.5], [-1.5], [-4.0]]])
  got = _one_level(
    boxes,
    1.0 / (1.0 + np.exp(-logits)),
    nms_version=version,
    apply_sigmoid=False,
    score_threshold=-2.0,
    max_total_size=4,
  )
  # Free slots' -1 ranks before logits below it; `batched` has no such score.
  count = 3 if version == 'batched' else 2
  assert got['num_detections'][0] == count
  np.testing.assert_allclose(
    got['detection_scores'][0, :count], logits[0, :count, 0], rtol=1e-5
  )


@pytest.mark.parametrize('version', _VERSIONS)
def test_batch_size_may_be_unknown(version):
  boxes, logits, anchors = _head_outputs(64, 4, 3)
  generator = postprocess_ops.MultilevelDetectionGenerator(
    3, 7, _params(nms_version=version)
  )

  def feed_of(x):
    return tf.placeholder(tf.float32, (None,) + x.shape[1:])

  with tf.Graph().as_default(), tf.Session() as session:
    boxes_in = {k: feed_of(v) for k, v in boxes.items()}
    logits_in = {k: feed_of(v) for k, v in logits.items()}
    shape = tf.placeholder(tf.float32, [None, 1, 2])
    outputs = generator(
      boxes_in,
      logits_in,
      {k: tf.constant(v) for k, v in anchors.items()},
      shape,
    )
    assert outputs['detection_boxes'].shape.as_list()[1:] == [100, 4]

    def run(images):
      feed = {shape: np.full([len(images), 1, 2], 64.0)}
      for level in boxes:
        feed[boxes_in[level]] = boxes[level][images]
        feed[logits_in[level]] = logits[level][images]
      return session.run(outputs, feed)

    together = run([0, 1, 2])
    assert (together['num_detections'] > 10).all()
    for i in range(3):
      for key, value in run([i]).items():
        np.testing.assert_array_equal(value[0], together[key][i])


@pytest.mark.parametrize('version', _VERSIONS)
def test_graph_does_not_grow_with_classes_and_images(version):
  sizes = []
  for num_classes, batch_size in ((3, 1), (20, 5)):
    with tf.Graph().as_default() as graph:
      _build(64, num_classes, batch_size, nms_version=version)
      sizes.append(len(graph.get_operations()))
  # Only constants may differ.
  assert abs(sizes[0] - sizes[1]) < 10


@pytest.mark.parametrize('class_agnostic', [False, True])
@pytest.mark.parametrize('version', _VERSIONS)
def test_graph_has_no_op_that_a_tpu_lacks(version, class_agnostic):
  with tf.Graph().as_default() as graph:
    outputs = _build(
      64, 3, 2, nms_version=version, class_agnostic_nms=class_agnostic
    )
    kinds = {op.type for op in graph.get_operations()}
  assert all(value.shape.is_fully_defined() for value in outputs.values())
  assert 'While' in kinds or 'Exit' in kinds
  assert not kinds & {'Where', 'Unique', 'BooleanMask', 'PyFunc'}
  assert not [kind for kind in kinds if 'NonMaxSuppression' in kind]


def test_unknown_version_names_the_known_ones():
  with pytest.raises(errors.ConfigError) as info:
    postprocess_ops.MultilevelDetectionGenerator(
      3, 7, _params(nms_version='batch')
    )
  message = str(info.value)
  assert "postprocess.nms_version: 'batch'" in message
  assert 'batched, v1, v2' in message


def test_use_batched_nms_wins_with_a_warning(caplog):
  boxes, scores = [[[0, 0, 2, 2], [0, 0, 2, 1]]], [[[0.9], [0.8]]]
  with caplog.at_level(logging.WARNING):
    got = _one_level(boxes, scores, use_batched_nms=True, nms_version='v2')
  assert got['num_detections'][0] == 2
  assert 'postprocess.use_batched_nms is deprecated' in caplog.text


@pytest.mark.parametrize(
  'name, nms, weights',
  [
    ('roi_detections_v1', 'v1', None),
    ('roi_detections_v2', 'v2', None),
    ('roi_detections_batched_agnostic', 'batched', (20.0, 20.0, 10.0, 10.0)),
  ],
)
def test_golden_detections_of_rois(name, nms, weights):
  rng = np.random.RandomState(0)
  is_agnostic = weights is not None
  size = (128, 160) if is_agnostic else (120, 150)
  boxes = golden_boxes.normal(rng, 2, 40, 4 if is_agnostic else 20)
  logits = golden_boxes.normal(rng, 2, 40, 5) * 2
  rois = np.stack([golden_boxes.boxes_in(rng, 40, *size) for _ in range(2)])
  generator = postprocess_ops.GenericDetectionGenerator(
    _params(nms_version=nms, max_total_size=20, pre_nms_num_boxes=200)
  )
  with tf.Graph().as_default(), tf.Session() as session:
    got = session.run(
      generator(
        *map(tf.constant, (boxes, logits, rois)),
        tf.constant([[size]] * 2, tf.float32),
        weights,
        not is_agnostic,
      )
    )
  for key, value in golden_numbers.expected(name + '.npz').items():
    assert golden_numbers.relative_error(value, got[key]) < 1e-4, key


def test_boxes_of_rois_without_suppression():
  generator = postprocess_ops.GenericDetectionGenerator(
    _params(apply_nms=False)
  )
  encoded = np.zeros([1, 1, 12], np.float32)
  # Of the second class: 10 pixels down; of the background: beyond all.
  encoded[0, 0, 8], encoded[0, 0, 0] = 10.0, 99.0
  with tf.Graph().as_default(), tf.Session() as session:
    got = session.run(
      generator(
        tf.constant(encoded),
        tf.zeros([1, 1, 3]),
        tf.constant([[[0.0, 0.0, 9.0, 9.0]]]),
        tf.constant([[[100.0, 100.0]]]),
      )
    )
  np.testing.assert_allclose(
    got['raw_boxes'], [[[[0, 0, 9, 9], [10, 0, 19, 9]]]], atol=1e-5
  )
  np.testing.assert_allclose(got['raw_scores'], [[[1 / 3, 1 / 3]]], rtol=1e-6)
