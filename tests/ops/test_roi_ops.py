"""Proposals: golden numbers, a NumPy model, limits."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import roi_ops
from tests import golden_boxes, golden_numbers

_HW = np.float32([[120, 150]] * 2)


def _params(**changes):
  settings = {'pre_nms_top_k': 90, 'post_nms_top_k': 60, 'nms_threshold': 0.7}
  settings.update(score_threshold=0.0, min_size_threshold=0.0)
  params = types.SimpleNamespace(use_batched_nms=False)
  for name, value in settings.items():
    setattr(params, 'rpn_' + name, value)
    setattr(params, 'test_rpn_' + name, value)
  vars(params).update(changes)
  return params


def _inputs(levels):
  rng = np.random.RandomState(0)
  sides = {level: (128 // 2**level, 160 // 2**level) for level in levels}
  scores, boxes = (
    {
      level: golden_boxes.normal(rng, 2, *side, channels) * scale
      for level, side in sides.items()
    }
    for channels, scale in ((3, 2), (12, 0.3))
  )
  anchors = {}
  for level, (height, width) in sides.items():
    y, x = np.meshgrid(
      (np.arange(height) + 0.5) * 2**level,
      (np.arange(width) + 0.5) * 2**level,
      indexing='ij',
    )
    half = [(2**level * (2 + i / 3), 2**level * (3 - i / 4)) for i in range(3)]
    anchors[level] = np.float32(
      np.stack(
        [np.stack([y - h, x - w, y + h, x + w], -1) for h, w in half], 2
      ).reshape([1, -1, 4])
    )
  return boxes, scores, anchors


def _run(params, inputs, is_training=True):
  with tf.Graph().as_default(), tf.Session() as session:
    boxes, scores, anchors = tf.nest.map_structure(tf.constant, inputs)
    return session.run(
      roi_ops.ROIGenerator(params)(
        boxes, scores, anchors, tf.constant(_HW), is_training
      )
    )


@pytest.mark.parametrize(
  'name, levels, changes',
  [
    ('roi_proposals', (3, 4, 5), {}),
    ('roi_proposals_batched', (3, 4, 5), {'use_batched_nms': True}),
    (
      'roi_proposals_filtered',
      (2, 3, 4),
      {
        'rpn_pre_nms_top_k': 200,
        'test_rpn_pre_nms_top_k': 200,
        'rpn_post_nms_top_k': 40,
        'test_rpn_post_nms_top_k': 40,
        'rpn_score_threshold': 0.99,
        'test_rpn_score_threshold': 0.97,
        'rpn_min_size_threshold': 14.0,
        'test_rpn_min_size_threshold': 8.0,
        'rpn_nms_threshold': 0.5,
        'test_rpn_nms_threshold': 0.6,
      },
    ),
  ],
)
def test_golden_proposals(name, levels, changes):
  want = golden_numbers.expected(name + '.npz')
  for mode in ('train', 'test'):
    rois, scores = _run(_params(**changes), _inputs(levels), mode == 'train')
    for key, value in (('rois', rois), ('scores', scores)):
      error = golden_numbers.relative_error(want[f'{mode}/{key}'], value)
      assert error < 1e-5, (mode, key)


def _model(params, inputs):
  """One image and level at a time, one box after the other."""
  images = []
  # Of 0 the one kind of suppression makes none.
  threshold = params.rpn_nms_threshold or 1 - params.use_batched_nms
  for image in range(2):
    kept = []
    for level in inputs[1]:
      boxes, scores, anchors = (
        inputs[0][level][image].reshape([-1, 4]),
        1 / (1 + np.exp(-inputs[1][level][image].reshape(-1))),
        inputs[2][level][0],
      )
      size = anchors[:, 2:] - anchors[:, :2] + 1
      center = anchors[:, :2] + size / 2 + boxes[:, :2] * size
      half = np.exp(np.minimum(boxes[:, 2:], np.log(1000 / 16))) * size / 2
      boxes = np.concatenate([center - half, center + half - 1], 1)
      boxes = np.clip(boxes, 0, np.tile(_HW[image] - 1, 2))
      order = np.argsort(-scores, kind='stable')
      limit = params.rpn_pre_nms_top_k
      if not params.use_batched_nms:
        order = order[:limit]
      chosen = []
      for i in order:
        if len(chosen) == min(limit, params.rpn_post_nms_top_k):
          break
        if boxes[i].max() > 0 and all(
          _iou(boxes[i], boxes[j]) <= threshold for j in chosen
        ):
          chosen.append(i)
      kept += [(scores[i], boxes[i]) for i in chosen]
    kept.sort(key=lambda pair: -pair[0])
    images.append([box for _, box in kept[: params.rpn_post_nms_top_k]])
  return images


def _iou(a, b):
  overlap = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
  overlap = np.prod(np.maximum(overlap, 0))
  union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - overlap
  return overlap / union if union else 0.0


@pytest.mark.parametrize(
  'changes',
  [
    {'rpn_nms_threshold': 0.3, 'rpn_post_nms_top_k': 150},
    # Nothing is suppressed, or whatever overlaps.
    {'rpn_nms_threshold': 0.0},
    {'rpn_nms_threshold': 0.0, 'use_batched_nms': True},
    # More are asked for than there are candidates.
    {'rpn_pre_nms_top_k': 20, 'rpn_post_nms_top_k': 1000},
    # Of a level no more are kept than there.
    {
      'use_batched_nms': True,
      'rpn_pre_nms_top_k': 20,
      'rpn_post_nms_top_k': 1000,
    },
  ],
)
def test_proposals_equal_the_model(changes):
  params, inputs = _params(**changes), _inputs((3, 5))
  rois, scores = _run(params, inputs)
  count = sum(value[0].size for value in inputs[1].values())
  assert rois.shape[1] == min(count, params.rpn_post_nms_top_k)
  for image, want in enumerate(_model(params, inputs)):
    found = len(want)
    np.testing.assert_allclose(rois[image, :found], want, atol=1e-3)
    assert (scores[image, :found] > 0).all()
    absent = 0 if params.use_batched_nms else -1
    assert (scores[image, found:] == absent).all()
    assert not rois[image, found:].any()


def test_boxes_without_area_stay_unless_at_the_origin():
  # Far beyond the left border, and beyond the corner.
  anchors = np.float32([[[20, -90, 40, -70], [-90, -90, -70, -70]]])
  inputs = (
    {3: np.zeros([2, 1, 2, 4], np.float32)},
    {3: np.float32([[[[1.0], [2.0]]]] * 2)},
    {3: anchors},
  )
  rois, scores = _run(_params(), inputs)
  np.testing.assert_allclose(rois[0], [[20, 0, 40, 0], [0, 0, 0, 0]])
  np.testing.assert_allclose(scores[0], [1 / (1 + np.exp(-1)), -1], rtol=1e-6)


def test_no_gradient_reaches_into_the_loops_of_suppression():
  """XLA could not count their iterations, nor keep what a gradient needs."""
  with tf.Graph().as_default() as graph:
    boxes, scores, anchors = tf.nest.map_structure(tf.constant, _inputs((3, 4)))
    rois, _ = roi_ops.ROIGenerator(_params())(
      boxes, scores, anchors, tf.constant(_HW), True
    )
    built = len(graph.get_operations())
    assert 'Enter' in {op.type for op in graph.get_operations()}
    inputs = [*boxes.values(), *scores.values()]
    assert tf.gradients(rois, inputs) == [None] * len(inputs)
    added = {op.type for op in graph.get_operations()[built:]}
  assert not added & {'Enter', 'StackV2', 'StackPushV2'}
