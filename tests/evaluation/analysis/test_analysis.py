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
  numbers = [tuple(c.values()) for c in small.classes]
  assert [c[:3] for c in numbers] == [
    (1, 'class a', 2),
    (2, 'class b', 1),
    (3, 'class c', 1),
    (4, 'class d', 0),
  ]
  # Class a: wrong, right, wrong, wrong, one of two found.
  half = 0.5 * 51 / 101
  assert numbers[0][3:] == pytest.approx(
    (half, half, half, 0.5, 2 / 4, 0.9), abs=1e-7
  )
  assert numbers[1][3:] == pytest.approx((1, 1, 1, 1, 1, 0.85))
  # Nothing is right: cut where all classes together are best.
  assert numbers[2][3:] == pytest.approx((0, 0, 0, 0, 0, 0.85))
  assert numbers[3][3:] == pytest.approx((-1, -1, -1, -1, 0, 0.85))
  assert small.metrics['AP'] == pytest.approx((half + 1) / 3, abs=1e-7)
  assert pytest.approx((half + 1) / 3) == small.errors.AP50


def test_sizes(small):
  assert [tuple(size.values())[:3] for size in small.sizes] == [
    ('small', 3, 2),
    ('medium', 0, 0),
    ('large', 1, 0),
  ]
  assert [size['AP'] for size in small.sizes] == [
    small.metrics[name] for name in ('APs', 'APm', 'APl')
  ]
  assert small.sizes[1]['AR'] == -1
  assert [size['rare'] for size in small.sizes] == [
    [('class b', 1), ('class a', 2)],
    [],
    [('class c', 1)],
  ]


def test_curves(small):
  assert list(small.precision_recall) == [1, 2, 3, None]
  curve = small.precision_recall[1]
  assert curve[0].tolist() == 51 * [0.5] + 50 * [0]
  assert curve[2] == pytest.approx(curve[0])
  over_all = small.precision_recall[None][1]
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
  assert [entry['best_score'] for entry in numbers.classes] == [0.8, 0.8]
  assert numbers.confusion.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 0]]
  nothing = analysis.analyse(truth, [])
  assert [entry['best_score'] for entry in nothing.classes] == [np.inf, np.inf]
  assert nothing.confusion.tolist() == [[0, 0, 2], [0, 0, 0], [0, 0, 0]]
  assert np.isnan(nothing.calibration.error)
  assert nothing.images.f1.tolist() == [0]


def test_entries(small):
  found = small.detections
  assert found.rows.tolist() == [0, 1, 3, 2, 4, 5, 6, 7]
  assert found.images.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
  assert found.scores[:3].tolist() == [0.99, 0.9, 0.85]
  # Of the objects, the one at 3 is the crowd.
  assert small.verdicts.objects.tolist() == [-1, 0, 2, 1, 0, 4, -1, -1]
  assert small.verdicts.ious == pytest.approx([0, 1, 1, 1, 1, 0.99, 0, 0])
  assert small.kept.tolist() == [True] * 3 + [False] * 2 + [True] + [False] * 2
  assert small.objects.rows.tolist() == [0, 1, 2, 3, 4]
  assert small.objects.areas.tolist() == [100, 100, 100, 2500, 10000]
  assert small.verdicts.finders.tolist() == [1, -1, 2, -1, -1]
  assert small.found.tolist() == [True, False, True, False, False]
  assert not small.verdicts.missed.any()
  assert small.images.tolist() == [
    (1, 2, 0, 1, 0.8),
    (2, 0, 1, 1, 0),
    (3, 0, 0, 0, 1),
  ]


def test_scores_leave_out_what_lies_in_crowds(small):
  assert small.histogram.sum(axis=1).tolist() == [2, 5]


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
  of_metrics, of_classes = comparison.compare(half, most)
  found = {entry.name: entry[1:] for entry in of_metrics}
  assert found['ARmax100'][:3] == pytest.approx((0.5, 0.6, 0.1), abs=0.01)
  least, most_of_it = found['ARmax100'][3]
  # The better run finds all that the other does, so that it is never worse.
  assert 0 <= least < 0.1 < most_of_it < 0.25
  low, high = half.intervals['ARmax100']
  assert most_of_it - least < 0.8 * (high - low)
  assert found['APm'] == (-1, -1, 0, (-1, -1))
  assert comparison.compare(half, half)[0][0][3:] == (0, (0, 0))
  assert [entry.name for entry in of_classes] == ['class a', 'class b']
  assert of_classes[0].difference == pytest.approx(
    most.classes[0]['AP'] - half.classes[0]['AP']
  )


def test_runs_on_other_images_are_not_compared():
  one, same = (sets.groundtruth((1, 1, _A), (2, 2, _A)) for _ in range(2))
  comparison.check_same(one, same)
  for other in (
    sets.groundtruth((1, 1, _A), (2, 2, _A), num_images=9),
    sets.groundtruth((1, 1, _A), (2, 1, _A)),
    sets.groundtruth((1, 1, _A)),
  ):
    with pytest.raises(errors.DataError, match=' images, do not'):
      comparison.check_same(one, other)


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
  numbers = analysis.analyse(truth, found, kind)
  published = _load('published_metrics.json')[kind]
  assert {name: f'{v:.3f}' for name, v in numbers.metrics.items()} == {
    name: f'{value:.3f}' for name, value in published.items()
  }
  weights = np.ones([1, 100], np.uint8)
  again, _ = bootstrap.replicates(sets.match(truth, found, kind), weights)
  assert np.float32(again[0]).tolist() == list(numbers.metrics.values())
  assert pytest.approx(numbers.metrics['AP50'], abs=1e-6) == numbers.errors.AP50
  assert all(low < high for low, high in numbers.intervals.values())
  means = numbers.precision_recall[None].mean(axis=1)
  assert means == pytest.approx(
    [numbers.metrics[name] for name in ('AP50', 'AP75', 'AP')], abs=1e-6
  )
  objects = sum(c['objects'] for c in numbers.classes)
  assert objects == np.sum(~numbers.objects.is_crowd) == 830
  assert numbers.confusion[:-1].sum() == objects
  assert numbers.confusion[:-1, :-1].trace() == numbers.found.sum()
  assert numbers.images.right.sum() == numbers.found.sum()
  counts = np.bincount(numbers.verdicts.types, minlength=7)
  assert numbers.errors.counts.sum(axis=0).tolist() == num_errors
  assert counts[2:].tolist() == num_errors[:-1]
