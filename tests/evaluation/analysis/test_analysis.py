"""Numbers of a report, by hand and against those of COCO's authors."""

import json
import os

import numpy as np
import pytest

from evaluation import annotation_file
from evaluation.analysis import analysis, bootstrap, comparison
from tests.evaluation.analysis import hand_made_sets as sets
from utils import errors

_A, _B, _C = (sets.moved(sets.WHOLE, x) for x in (0, 100, 200))
_LARGE = [0, 0, 100, 100]


@pytest.fixture(scope='module')
def small():
  """An analysis of three images, one of them without anything."""
  truth = sets.groundtruth(
    (1, 1, _A),
    (1, 1, _B),
    (1, 2, _C),
    (1, 1, [300, 0, 50, 50], True),
    (2, 3, _LARGE),
    num_images=3,
    num_classes=4,
  )
  found = sets.detections(
    (1, 1, [310, 0, 10, 10], 0.99),  # In the crowd.
    (1, 1, _A, 0.9),
    (1, 2, _B, 0.8),
    (1, 2, _C, 0.85),
    (1, 1, _A, 0.3),
    (2, 1, [0, 0, 100, 99], 0.95),
    (2, 4, [300, 300, 10, 10], 0.05),
    (2, 1, [300, 300, 10, 10], 0.04),
  )
  return analysis.analyse(truth, found)


def test_classes(small):
  assert [c[:3] for c in small.classes] == [
    (1, 'class a', 2),
    (2, 'class b', 1),
    (3, 'class c', 1),
    (4, 'class d', 0),
  ]
  # Class a: wrong, right, wrong, wrong, one of two found.
  half = 0.5 * 51 / 101
  assert small.classes[0][3:] == pytest.approx(
    (half, half, half, 0.5, 2 / 4, 0.9), abs=1e-7
  )
  assert small.classes[1][3:] == pytest.approx((1, 1, 1, 1, 1, 0.85))
  # Nothing is right: cut where all classes together are best.
  assert small.classes[2][3:] == pytest.approx((0, 0, 0, 0, 0, 0.85))
  assert small.classes[3][3:] == pytest.approx((-1, -1, -1, -1, 0, 0.85))
  assert small.metrics['AP'] == pytest.approx((half + 1) / 3, abs=1e-7)
  assert pytest.approx((half + 1) / 3) == small.errors.AP50


def test_sizes(small):
  assert [size[:2] for size in small.sizes] == [
    ('small', 3),
    ('medium', 0),
    ('large', 1),
  ]
  assert [size.found for size in small.sizes] == [2, 0, 0]
  assert [size.AP for size in small.sizes] == [
    small.metrics[name] for name in ('APs', 'APm', 'APl')
  ]
  assert small.sizes[1].AR == -1


def test_curves(small):
  assert list(small.precision_recall) == [None, 1, 2, 3]
  curve = small.precision_recall[1]
  assert curve.iou_50.tolist() == 51 * [0.5] + 50 * [0]
  assert curve.mean == pytest.approx(curve.iou_50)
  over_all = small.precision_recall[None].iou_75
  assert over_all == pytest.approx(51 * [0.5] + 50 * [1 / 3])


def test_confusion(small):
  # Kept are those from 0.9 of class a and from 0.85 of the others.
  assert small.confusion.tolist() == [
    [1, 0, 0, 0, 1],
    [0, 1, 0, 0, 0],
    [1, 0, 0, 0, 0],
    [0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0],
  ]


def test_confusion_where_nothing_is_right():
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B))
  found = sets.detections(
    (1, 2, _A, 0.9), (1, 2, _B, 0.8), (1, 1, _C, 0.7), (1, 2, _C, 0.6)
  )
  numbers = analysis.analyse(truth, found)
  assert [entry.best_score for entry in numbers.classes] == [0.8, 0.8]
  assert numbers.confusion.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 0]]
  nothing = analysis.analyse(truth, [])
  assert [entry.best_score for entry in nothing.classes] == [np.inf, np.inf]
  assert nothing.confusion.tolist() == [[0, 0, 2], [0, 0, 0], [0, 0, 0]]
  assert np.isnan(nothing.calibration.error)
  assert nothing.images.f1.tolist() == [0]


def test_entries(small):
  found = small.detections
  assert found.rows.tolist() == [0, 1, 3, 2, 4, 5, 6, 7]
  assert found.images.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
  assert found.scores[:3].tolist() == [0.99, 0.9, 0.85]
  assert found.objects.tolist() == [-1, 0, 2, 1, 0, 3, -1, -1]
  assert found.ious == pytest.approx([0, 1, 1, 1, 1, 0.99, 0, 0])
  assert found.kept.tolist() == [True] * 3 + [False] * 2 + [True] + [False] * 2
  assert small.objects.rows.tolist() == [0, 1, 2, 4]  # Without the crowd.
  assert small.objects.areas.tolist() == [100, 100, 100, 10000]
  assert small.objects.detections.tolist() == [1, -1, 2, -1]
  assert small.objects.kept.tolist() == [True, False, True, False]
  assert not small.objects.missed.any()
  assert small.images.ids.tolist() == [1, 2, 3]
  assert small.images.true_positives.tolist() == [2, 0, 0]
  assert small.images.false_positives.tolist() == [0, 1, 0]
  assert small.images.false_negatives.tolist() == [1, 1, 0]
  assert small.images.f1.tolist() == [0.8, 0, 1]


def test_scores_leave_out_what_lies_in_crowds(small):
  assert small.histogram.true_positives.sum() == 2
  assert small.histogram.false_positives.sum() == 5
  assert small.calibration.counts.sum() == 7


def test_a_groundtruth_without_classes_is_told():
  with pytest.raises(errors.DataError, match='1 images and 0 classes'):
    analysis.analyse(sets.groundtruth(num_classes=0), [])


def _noisy(share, num_images=30):
  """A set, and detections of a share of its objects, by image."""
  truth = sets.groundtruth(
    *[(i + 1, i % 2 + 1, _A) for i in range(num_images)], num_images=num_images
  )
  return analysis.analyse(
    truth,
    sets.detections(
      *[(i + 1, i % 2 + 1, _A, 0.9) for i in range(int(share * num_images))]
    ),
  )


def test_differences_are_of_the_same_resamples():
  half, most = _noisy(0.5), _noisy(0.6)
  found = comparison.compare(half, most)
  recall = found['ARmax100']
  assert recall[:3] == pytest.approx((0.5, 0.6, 0.1), abs=0.01)
  # The better run finds all that the other does, so that it is never worse.
  assert 0 <= recall.interval[0] < 0.1 < recall.interval[1] < 0.25
  low, high = half.intervals['ARmax100']
  assert recall.interval[1] - recall.interval[0] < 0.8 * (high - low)
  assert found['APm'] == (-1, -1, 0, (-1, -1))
  same = comparison.compare(half, half)
  assert same['AP'].difference == 0
  assert same['AP'].interval == (0, 0)
  of_classes = comparison.compare_classes(half, most)
  assert list(of_classes) == [1, 2]
  assert of_classes[1].difference == pytest.approx(
    most.classes[0].AP - half.classes[0].AP
  )


def test_runs_on_other_images_are_not_compared():
  with pytest.raises(errors.DataError, match='30 and 20 images, do not'):
    comparison.compare(_noisy(1), _noisy(1, num_images=20))


def _folder():
  folder = os.environ.get('DETECTION_TEST_DATA', '../shared/data')
  folder = os.path.join(folder, 'coco_val2014_100')
  if not os.path.exists(folder):
    pytest.skip(f'{folder} is absent; DETECTION_TEST_DATA names its folder')
  return folder


def _load(name):
  with open(os.path.join(_folder(), name)) as source:
    return json.load(source)


@pytest.mark.parametrize(
  'kind, num_errors',
  # As tidecv 1.0.1, the program of TIDE's authors, counts them.
  [('bbox', [83, 1, 0, 1, 0, 97]), ('segm', [76, 82, 7, 0, 4, 109])],
)
def test_published_metrics_come_out_and_all_numbers_agree(kind, num_errors):
  truth = annotation_file.load_annotations(
    os.path.join(_folder(), 'instances_val2014_100.json'), kind == 'segm'
  )
  found = _load(f'detections_{kind}.json')
  result = sets.coco_result(truth, found, kind)
  numbers = analysis.analyse(truth, found, kind, result=result)
  published = _load('published_metrics.json')[kind]
  assert {name: f'{v:.3f}' for name, v in numbers.metrics.items()} == {
    name: f'{value:.3f}' for name, value in published.items()
  }
  weights = np.ones([1, 100], np.uint8)
  again = bootstrap.replicates(sets.match(truth, found, kind), weights)
  assert np.float32(again.metrics[0]).tolist() == list(numbers.metrics.values())
  assert pytest.approx(numbers.metrics['AP50'], abs=1e-6) == numbers.errors.AP50
  assert all(low < high for low, high in numbers.intervals.values())
  curve = numbers.precision_recall[None]
  assert np.mean(curve.mean) == pytest.approx(numbers.metrics['AP'], abs=1e-6)
  assert np.mean(curve.iou_75) == pytest.approx(
    numbers.metrics['AP75'], abs=1e-6
  )
  objects = sum(c.objects for c in numbers.classes)
  assert objects == len(numbers.objects.rows) == 830
  assert numbers.confusion[:-1].sum() == objects
  assert numbers.confusion[:-1, :-1].trace() == numbers.objects.kept.sum()
  assert numbers.images.true_positives.sum() == numbers.objects.kept.sum()
  counts = np.bincount(numbers.detections.types, minlength=7)
  assert list(numbers.errors.counts.values()) == num_errors
  assert counts[2:].tolist() == num_errors[:-1]
