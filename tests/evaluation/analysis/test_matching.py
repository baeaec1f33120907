"""Matches of hand-made sets."""

import numpy as np
import pytest

from evaluation import coco_metrics
from evaluation.analysis import bootstrap
from tests.evaluation.analysis import hand_made_sets as sets

_ALL, _SMALL, _MEDIUM = 0, 1, 2


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_the_metrics_of_matches_are_those_of_coco(iou_type):
  truth, found = sets.crowded(decimals=2)
  if iou_type == 'segm':
    sets.with_masks(truth, found)
  result = sets.coco_result(truth, found, iou_type)
  matches = sets.match(truth, found, iou_type)
  assert matches.objects.is_crowd.sum() > 10
  assert len(matches.detections.rows) < len(found)  # More than 100 of a class.
  metrics, class_ap = bootstrap.replicates(matches, np.ones([1, 40], np.uint8))
  expected = list(coco_metrics.coco_metrics(result).values())
  assert np.nan_to_num(np.float32(metrics[0]), nan=-1).tolist() == expected
  of_classes = coco_metrics.category_metrics(result, {})
  expected = [of_classes[f'Precision mAP ByCategory/{i}'] for i in (1, 2, 3, 4)]
  assert expected[-1] == -1  # Detections without any object.
  np.testing.assert_allclose(
    np.nan_to_num(class_ap[0], nan=-1), expected, atol=6e-8
  )


def test_the_best_detection_of_the_class_finds_an_object_once():
  truth = sets.groundtruth(
    (1, 1, sets.WHOLE), (1, 2, sets.moved(sets.WHOLE, 3))
  )
  found = sets.detections(
    (1, 1, sets.MOST, 0.3),
    (1, 1, sets.WHOLE, 0.2),
    (1, 2, sets.WHOLE, 0.9),
    (1, 1, sets.WHOLE, 0.0),  # No detection.
    (7, 1, sets.WHOLE, 0.8),
    (1, 7, sets.WHOLE, 0.8),
  )
  matches = sets.match(truth, found)
  # By falling score: of class 2, 7/13 of which overlap; 0.6; 1.
  assert matches.detections.rows.tolist() == [2, 0, 1]
  assert matches.detections.ranks.tolist() == [0, 0, 1]
  assert matches.found[_ALL, :3].tolist() == [
    [1, 0, -1],  # IoU 0.5
    [-1, 0, -1],  # 0.55
    [-1, 0, -1],  # 0.6
  ]
  assert matches.found[_ALL, 3].tolist() == [-1, -1, 0]
  assert matches.true_positives()[_ALL, 0].tolist() == [True, True, False]
  # Objects of 100 pixels are small.
  assert matches.ignored.all(axis=1).tolist() == [False, False, True, True]
  assert not matches.true_positives()[_MEDIUM].any()


def test_a_crowd_is_found_by_what_finds_nothing_else_and_more_than_once():
  truth = sets.groundtruth(
    (1, 1, [0, 0, 100, 100], True), (1, 1, [0, 0, 10, 10])
  )
  found = sets.detections(
    (1, 1, [0, 0, 10, 10], 0.9),
    (1, 1, [20, 0, 10, 10], 0.8),
    (1, 1, [40, 0, 10, 10], 0.7),
    (1, 2, [40, 0, 10, 10], 0.6),
  )
  matches = sets.match(truth, found)
  assert matches.found[_ALL, 9].tolist() == [1, 0, 0, -1]
  assert matches.true_positives()[_SMALL, 9].tolist() == [True] + 3 * [False]


def test_a_set_without_objects_or_without_detections_has_no_matches():
  truth = sets.groundtruth((1, 1, sets.WHOLE))
  assert sets.match(truth, []).found.shape == (4, 10, 0)
  found = sets.detections((1, 1, sets.WHOLE, 0.9))
  matches = sets.match(sets.groundtruth(), found)
  assert matches.found.tolist() == 4 * [10 * [[-1]]]
  assert not matches.true_positives().any()
