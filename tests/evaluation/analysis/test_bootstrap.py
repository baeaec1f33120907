"""Resampled metrics against those of sets that hold images repeatedly."""

import numpy as np
import pytest

from evaluation import coco_metrics
from evaluation.analysis import bootstrap
from tests.evaluation.analysis import hand_made_sets as sets


def test_draws_hold_as_many_images_and_are_the_same_each_time():
  drawn = bootstrap.draw(300)
  assert drawn.shape == (1000, 300)
  assert set(drawn.sum(axis=1)) == {300}
  # One image is drawn 0, 1, 2 times with the probability 0.368, 0.368, 0.184.
  shares = np.bincount(drawn.ravel(), minlength=3)[:3] / drawn.size
  np.testing.assert_allclose(shares, [0.368, 0.368, 0.184], atol=0.005)
  np.testing.assert_array_equal(drawn, bootstrap.draw(300))
  assert len(bootstrap.draw(20000)) == 200


def _resampled(truth, found, weights):
  """The set with each image as often as its weight says."""
  copies = {'images': [], 'annotations': [], 'categories': truth['categories']}
  detections = []
  for image, count in zip(truth['images'], weights):
    for _ in range(count):
      new_id = len(copies['images']) + 1
      copies['images'].append({**image, 'id': new_id})
      for rows, target in (
        (truth['annotations'], copies['annotations']),
        (found, detections),
      ):
        target.extend(
          {**row, 'image_id': new_id}
          for row in rows
          if row['image_id'] == image['id']
        )
  return copies, detections


def test_resampled_metrics_are_those_of_a_set_with_the_images_copied():
  truth, found = sets.crowded(decimals=9)
  weights = bootstrap.draw(40)[:3].copy()
  weights[2] = 0
  weights[2, :4] = [3, 0, 2, 1]
  numbers = bootstrap.replicates(sets.match(truth, found), weights)
  for row, of_class, counts in zip(*numbers, weights):
    result = sets.coco_result(*_resampled(truth, found, counts))
    expected = list(coco_metrics.coco_metrics(result).values())
    np.testing.assert_allclose(np.nan_to_num(row, nan=-1), expected, atol=6e-8)
    assert sorted(expected)[-1] > 0.1
    ap = coco_metrics.category_metrics(result, {})['Precision mAP ByCategory/1']
    assert of_class[0] == pytest.approx(ap, abs=6e-8)


def test_replicates_by_hand():
  # Without false positives, AP is the share of recalls that are reached.
  truth = sets.groundtruth(
    *[(i + 1, 1, sets.WHOLE) for i in range(4)], num_images=4, num_classes=1
  )
  found = sets.detections((1, 1, sets.WHOLE, 0.9), (2, 1, sets.WHOLE, 0.8))
  weights = np.array([[1, 1, 1, 1], [2, 1, 1, 0], [0, 0, 1, 3], [4, 0, 0, 0]])
  metrics, class_ap = bootstrap.replicates(sets.match(truth, found), weights)
  assert metrics[:, 0] == pytest.approx([51 / 101, 76 / 101, 0, 1])
  assert metrics[:, 8] == pytest.approx([0.5, 0.75, 0, 1])  # ARmax100
  assert np.isnan(metrics[:, 4:6]).all()  # Nothing is large.
  assert class_ap[:, 0] == pytest.approx(metrics[:, 0])


def test_the_interval_holds_the_middle_of_what_is_known():
  values = np.append(np.arange(101.0), np.nan)
  assert bootstrap.interval(values) == (2.5, 97.5)
  assert bootstrap.interval(np.array([np.nan])) == (-1, -1)
