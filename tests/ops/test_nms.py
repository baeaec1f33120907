"""Multiclass NMS on boxes whose overlaps are worked out by hand."""

import contextlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.compiler.xla import xla

from ops import nms, portability


def _run(
  boxes, scores, max_detections=4, function=nms.multiclass_nms, **kwargs
):
  kwargs = dict({'iou_threshold': 0.5, 'score_threshold': 0.0}, **kwargs)
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(
      function(
        tf.constant(boxes, tf.float32),
        tf.constant(scores, tf.float32),
        max_detections,
        **kwargs,
      )
    )


# Intersection over union of the first two is 2 / 4.
_HALF = [[0, 0, 2, 2], [0, 0, 2, 1], [5, 5, 9, 9]]


def test_free_slots_are_empty():
  got = _run([_HALF], [[[0.9], [0.1], [0.3]]], iou_threshold=0.6)
  np.testing.assert_array_equal(got.count, [3])
  np.testing.assert_allclose(got.scores, [[0.9, 0.3, 0.1, 0.0]], rtol=1e-6)
  np.testing.assert_array_equal(got.classes, [[0, 0, 0, -1]])
  np.testing.assert_array_equal(
    got.boxes, [[_HALF[0], _HALF[2], _HALF[1], [0, 0, 0, 0]]]
  )
  np.testing.assert_array_equal(got.rows, [[0, 2, 1, 0]])
  assert got.count.dtype == np.int32
  assert got.classes.dtype == np.int32


@pytest.mark.parametrize('suppress_equal,count', [(True, 2), (False, 3)])
def test_overlap_of_exactly_the_threshold(suppress_equal, count):
  got = _run([_HALF], [[[0.9], [0.8], [0.3]]], suppress_equal=suppress_equal)
  assert got.count[0] == count


def test_score_of_exactly_the_threshold_is_no_candidate():
  got = _run([_HALF], [[[0.5], [0.25], [0.75]]], score_threshold=0.5)
  np.testing.assert_allclose(got.scores, [[0.75, 0, 0, 0]])


def test_classes_do_not_suppress_each_other():
  got = _run([_HALF[:2]], [[[0.9, 0.7], [0.8, 0.95]]])
  np.testing.assert_array_equal(got.count, [2])
  np.testing.assert_array_equal(got.classes, [[1, 0, -1, -1]])
  np.testing.assert_array_equal(got.boxes[0, :2], [_HALF[1], _HALF[0]])


@pytest.mark.parametrize('loop_free', [False, True])
def test_one_class_at_a_place_with_boxes_of_each_class(loop_free):
  """The second's box of its best class lies on the first's of another."""
  far, near, nearer = [20, 20, 29, 29], [0, 0, 10, 10], [0, 0, 10, 9]
  boxes = [[far, near], [nearer, far], [far, near], [[40, 40, 44, 44]] * 2]
  scores = [[0.1, 0.9], [0.8, 0.7], [0.6, 0.2], [0.3, 0.3]]
  with portability.required() if loop_free else contextlib.ExitStack():
    got = _run(
      [boxes, boxes[::-1]],
      [scores, scores[::-1]],
      function=nms.class_agnostic_nms,
    )
  np.testing.assert_array_equal(got.count, [3, 3])
  np.testing.assert_array_equal(got.rows, [[0, 2, 3, 0], [3, 1, 0, 0]])
  for i in range(2):
    np.testing.assert_allclose(got.scores[i], [0.9, 0.6, 0.3, 0], rtol=1e-6)
    np.testing.assert_array_equal(got.classes[i], [1, 0, 0, -1])
    np.testing.assert_array_equal(
      got.boxes[i], [near, far, [40, 40, 44, 44], [0, 0, 0, 0]]
    )
  assert got.classes.dtype == np.int32


def test_a_suppressed_box_suppresses_nothing():
  # Each overlaps its neighbours by 2/3, the one after the next by 3/7.
  boxes = [[[0, i, 1, i + 10] for i in range(0, 12, 2)]]
  scores = [[[0.9], [0.8], [0.7], [0.6], [0.5], [0.4]]]
  got = _run(boxes, scores)
  np.testing.assert_allclose(got.scores, [[0.9, 0.7, 0.5, 0.0]], rtol=1e-6)


def test_ties_go_to_the_lower_class_then_to_the_lower_index():
  boxes = [[[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]]]
  got = _run(boxes, np.full([1, 3, 2], 0.5), max_detections=5)
  np.testing.assert_array_equal(got.classes, [[0, 0, 0, 1, 1]])
  np.testing.assert_array_equal(got.boxes[0, :, 0], [0, 2, 4, 0, 2])


def test_boxes_without_area_are_never_kept():
  boxes = [
    [[3, 3, 3, 9], [3, 3, 9, 3], [5, 5, 4, 4], [0, 0, 0, 0], [1, 1, 2, 2]]
  ]
  scores = [[[0.9], [0.9], [0.9], [0.9], [0.1]]]
  got = _run(boxes, scores, max_detections=100)
  np.testing.assert_array_equal(got.count, [1])
  np.testing.assert_array_equal(got.boxes[0, 0], [1, 1, 2, 2])


def test_only_boxes_without_area():
  got = _run(np.zeros([2, 3, 4]), np.full([2, 3, 2], 0.9))
  np.testing.assert_array_equal(got.count, [0, 0])
  np.testing.assert_array_equal(got.boxes, np.zeros([2, 4, 4]))


def test_what_is_not_a_number_is_no_candidate():
  boxes = [[[0, 0, 1, 1], [2, 2, np.nan, 3], [4, 4, 5, 5]]]
  got = _run(boxes, [[[np.nan], [0.9], [0.1]]])
  np.testing.assert_array_equal(got.count, [1])
  np.testing.assert_array_equal(got.boxes[0, 0], [4, 4, 5, 5])


def test_candidates_per_class_are_limited_before_suppression():
  # The second is a duplicate, yet takes one of class 0's two places.
  boxes = [[[0, 0, 2, 2], [0, 0, 2, 2], [5, 5, 9, 9]]]
  scores = [[[0.9, 0.1], [0.8, 0.3], [0.7, 0.2]]]
  got = _run(boxes, scores, max_candidates_per_class=2)
  np.testing.assert_allclose(got.scores, [[0.9, 0.3, 0.2, 0]], rtol=1e-6)
  np.testing.assert_array_equal(got.classes, [[0, 1, 1, -1]])


@pytest.mark.parametrize('block_size,chunk_size', [(1, 1), (5, 2), (64, 7)])
def test_more_candidates_than_a_block_holds(
  block_size, chunk_size, monkeypatch
):
  """A crowd of duplicates stands before the only other box, in one image."""
  monkeypatch.setattr(nms, '_BLOCK_SIZE', block_size)
  monkeypatch.setattr(nms, '_CHUNK_SIZE', chunk_size)
  boxes = np.tile(np.float32([0, 0, 4, 4]), [2, 40, 1])
  boxes[:, 39] = [5, 5, 9, 9]
  boxes[1, 1] = [20, 20, 24, 24]
  scores = np.linspace(0.9, 0.1, 40)[None, :, None] * np.ones([2, 1, 1])
  got = _run(boxes, scores, max_detections=2)
  np.testing.assert_array_equal(got.count, [2, 2])
  np.testing.assert_array_equal(got.boxes[0], boxes[0, [0, 39]])
  np.testing.assert_array_equal(got.boxes[1], boxes[1, [0, 1]])


def test_blocks_do_not_repeat_or_lose_tied_candidates(monkeypatch):
  monkeypatch.setattr(nms, '_BLOCK_SIZE', 3)
  monkeypatch.setattr(nms, '_CHUNK_SIZE', 2)
  boxes = [[[2 * i, 0, 2 * i + 1, 1] for i in range(10)]]
  got = _run(boxes, np.full([1, 10, 1], 0.5), max_detections=12)
  np.testing.assert_array_equal(got.count, [10])
  np.testing.assert_array_equal(got.boxes[0, :10], boxes[0])


def test_compiles_for_an_accelerator(monkeypatch):
  """XLA, which TPUs need, gives the same numbers."""
  monkeypatch.setattr(nms, '_BLOCK_SIZE', 64)
  monkeypatch.setattr(nms, '_CHUNK_SIZE', 16)
  rng = np.random.RandomState(0)
  corner = rng.rand(2, 100, 2) * 20
  boxes = np.concatenate([corner, corner + 1 + rng.rand(2, 100, 2) * 9], -1)
  scores = rng.rand(2, 100, 3)
  kwargs = {'score_threshold': 0.1, 'max_candidates_per_class': 60}
  want = _run(boxes, scores, max_detections=150, iou_threshold=0.2, **kwargs)
  assert (want.count < 150).all()  # So that several blocks are needed.

  def compute(boxes, scores):
    return tuple(nms.multiclass_nms(boxes, scores, 150, 0.2, **kwargs))

  with tf.Graph().as_default(), tf.Session() as session:
    got = xla.compile(
      compute,
      [tf.constant(boxes, tf.float32), tf.constant(scores, tf.float32)],
    )
    got = nms.KeptBoxes(*session.run(got))
  np.testing.assert_array_equal(got.count, want.count)
  np.testing.assert_array_equal(got.classes, want.classes)
  np.testing.assert_allclose(got.scores, want.scores, rtol=1e-6)
  np.testing.assert_allclose(got.boxes, want.boxes, rtol=1e-6)


@pytest.mark.parametrize(
  'has_own_boxes, changes',
  [
    (False, {}),
    (False, {'max_candidates_per_class': 20}),
    (True, {}),
    (True, {'keep_empty': True, 'iou_threshold': 2.0}),
  ],
)
def test_the_operator_keeps_what_the_loops_keep(has_own_boxes, changes):
  random = np.random.RandomState(0)
  shape = [2, 80, 3, 2] if has_own_boxes else [2, 80, 2]
  corners = random.uniform(0, 60, shape)
  sizes = np.maximum(random.uniform(-3, 30, shape), 0)
  boxes = np.concatenate([corners, corners + sizes], axis=-1)
  scores = random.uniform(size=[2, 80, 3])
  # One image has fewer than there is room for.
  scores[1, 10:] = 0.0
  arguments = {'max_detections': 30, 'score_threshold': 0.2, **changes}
  expected = _run(boxes, scores, **arguments)
  with portability.required():
    got = _run(boxes, scores, **arguments)
  assert expected.count[0] == 30 > expected.count[1] > 2
  for a, b in zip(got, expected):
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=1e-6)
