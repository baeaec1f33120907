"""Detections of two programs, paired and measured."""

import types

import numpy as np
import pytest

from serving.export import detection_difference
from serving.predictors import predictor


def _detections(*rows):
  """Rows of (box, class, score)."""
  return predictor.ImageDetections(
    np.float32([row[0] for row in rows]).reshape([-1, 4]),
    np.int32([row[1] for row in rows]),
    np.float32([row[2] for row in rows]),
  )


def _compare(a, b, scale=1.0, max_detections=5):
  return detection_difference.compare(
    [a],
    [b],
    [scale],
    least_iou=0.5,
    score_tolerance=0.01,
    settings=types.SimpleNamespace(
      score_threshold=0.1, max_total_size=max_detections
    ),
  )


_FIRST = ([0, 0, 10, 10], 1, 0.9)
_SECOND = ([20, 20, 40, 40], 2, 0.5)


def test_errors_of_pairs():
  found = _detections(([0, 0, 10, 12], 1, 0.8), ([21, 20, 40, 40], 2, 0.54))
  measured = _compare(_detections(_FIRST, _SECOND), found, scale=0.5)
  assert measured.num_compared == 4
  # 2 pixels of the image are 1 pixel of the model's.
  assert measured.box_error == pytest.approx(1.0)
  assert measured.score_error == pytest.approx(0.1)
  assert measured.mean_score_error == pytest.approx(0.07)
  assert measured.matched_share == 1.0


def test_another_class_or_place_is_no_partner():
  moved = ([20, 20, 29, 40], 2, 0.5)
  measured = _compare(
    _detections(_FIRST, _SECOND), _detections((_FIRST[0], 2, 0.9), moved)
  )
  assert measured[:2] == (4, 0.0)


def test_one_partner_each_the_closest():
  near = ([0, 0, 10, 11], 1, 0.7)
  measured = _compare(_detections(near, _FIRST), _detections(_FIRST))
  assert measured[:2] == (3, 2 / 3)
  assert measured.box_error == 0.0
  # In the other order of arguments, too.
  measured = _compare(_detections(_FIRST), _detections(near, _FIRST))
  assert measured[:2] == (3, 2 / 3)
  assert measured.box_error == 0.0


def test_lowest_scores_need_no_partner():
  at_threshold = ([50, 50, 60, 60], 1, 0.105)
  assert _compare(_detections(at_threshold), _detections()).num_compared == 0
  above = ([50, 50, 60, 60], 1, 0.12)
  measured = _compare(_detections(above), _detections())
  assert measured[:2] == (1, 0.0)
  # A full list ends at its last score.
  full = [_detections(_FIRST, (box, 2, 0.5)) for box in (_SECOND[0], [0] * 4)]
  assert _compare(*full, max_detections=2).num_compared == 2
  assert _compare(*full, max_detections=3).num_compared == 4


def test_nothing_at_all():
  measured = _compare(_detections(), _detections())
  assert measured == (0, 1.0, 0.0, 0.0, 0.0, None)


def test_masks_of_pairs():
  a, b = (
    _detections(_FIRST, _SECOND)._replace(
      masks=np.full([2, 4, 4], value, np.float32)
    )
    for value in (0.25, 0.5)
  )
  b.masks[1, 0, 0] = 1.25
  assert _compare(a, b).mask_error == pytest.approx(0.25 + 0.75 / 16)
  assert _compare(a, a).mask_error == 0.0


def test_images_add_up():
  one, two = _detections(_FIRST), _detections(_FIRST, _SECOND)
  measured = detection_difference.compare(
    [one, two],
    [two, one],
    [1.0, 1.0],
    0.5,
    0.01,
    types.SimpleNamespace(score_threshold=0.1, max_total_size=5),
  )
  assert measured[:2] == (6, 4 / 6)
