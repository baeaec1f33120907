"""Errors by the definitions of TIDE, on cases worked out by hand.

A class of which one of two objects is found without a false positive before it
has an AP of 51/101: the recalls 0, 0.01, ..., 0.5 are reached.
"""

import pytest

from evaluation.analysis import error_types
from tests.evaluation.analysis import hand_made_sets as sets

_HALF = 51 / 101
_A, _B, _C, _D = (sets.moved(sets.WHOLE, x) for x in (0, 100, 200, 300))
_LESS_OF_B = sets.moved(sets.LESS, 100)


def _errors(truth, found, iou_type='bbox'):
  matches = sets.match(truth, found, iou_type)
  verdicts = error_types.judge(matches)
  errors = error_types.weigh(matches, verdicts)
  types = {
    found[row]['score']: error_types.TYPES[kind]
    for row, kind in zip(matches.detections.rows, verdicts.types)
  }
  return errors, types, verdicts


def _check(errors, ap, lost, counts, false_positives=0.0, false_negatives=0.0):
  """Types that are not named have to be lost and counted 0."""
  zeros = dict.fromkeys(error_types.ERRORS, 0)
  both = {
    'all false positives': false_positives,
    'all not found': false_negatives,
  }
  assert pytest.approx(ap) == errors.AP50
  assert errors.lost == pytest.approx({**zeros, **lost, **both}, abs=1e-12)
  found = dict(zip(error_types.ERRORS, errors.counts.sum(axis=0)))
  assert found == {**zeros, **counts}


def test_nothing_is_lost_where_all_is_right():
  truth = sets.groundtruth((1, 1, _A), (1, 2, _A))
  errors, _, _ = _errors(
    truth, sets.detections((1, 1, _A, 0.9), (1, 2, _A, 0.8))
  )
  _check(errors, 1, {}, {})


def test_localisation():
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B))
  found = sets.detections((1, 1, _A, 0.9), (1, 1, _LESS_OF_B, 0.8))
  errors, types, verdicts = _errors(truth, found)
  assert types == {0.9: 'true positive', 0.8: 'localisation'}
  assert verdicts.objects.tolist() == [0, 1]
  assert verdicts.ious == pytest.approx([1, 0.4])
  assert verdicts.finders.tolist() == [0, -1]
  assert not verdicts.missed.any()
  # In its place it would be right. Left out, it costs nothing, as the last.
  _check(
    errors,
    _HALF,
    {'localisation': 1 - _HALF},
    {'localisation': 1},
    false_negatives=1 - _HALF,
  )


def test_classification():
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B), (1, 2, _C))
  found = sets.detections((1, 1, _A, 0.9), (1, 2, _B, 0.8), (1, 2, _C, 0.7))
  errors, types, _ = _errors(truth, found)
  assert types[0.8] == 'classification'
  # In class 2, half of the detections up to the only object are right.
  _check(
    errors,
    (_HALF + 0.5) / 2,
    {'classification': 1 - (_HALF + 0.5) / 2},
    {'classification': 1},
    false_positives=0.5 / 2,
    false_negatives=(1 - _HALF) / 2,
  )
  assert errors.counts[:, 0].tolist() == [0, 1]


def test_both():
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B), (1, 2, _C))
  found = sets.detections(
    (1, 1, _A, 0.9), (1, 2, _LESS_OF_B, 0.8), (1, 2, _C, 0.7)
  )
  errors, types, verdicts = _errors(truth, found)
  assert types[0.8] == 'both'
  # It goes, and does not tell that B is not missed.
  assert verdicts.missed.tolist() == [False, True, False]
  _check(
    errors,
    (_HALF + 0.5) / 2,
    {'both': 0.5 / 2, 'missed': (1 - _HALF) / 2},
    {'both': 1, 'missed': 1},
    false_positives=0.5 / 2,
    false_negatives=(1 - _HALF) / 2,
  )


@pytest.mark.parametrize(
  'box, kind', [(sets.MOST, 'duplicate'), (_D, 'background')]
)
def test_duplicate_and_background(box, kind):
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B))
  found = sets.detections((1, 1, _A, 0.9), (1, 1, box, 0.8), (1, 1, _B, 0.7))
  errors, types, verdicts = _errors(truth, found)
  assert types[0.8] == kind
  assert verdicts.objects[1] == {'duplicate': 0, 'background': -1}[kind]
  assert verdicts.ious[1] == pytest.approx(0.6 if kind == 'duplicate' else 0)
  # Two of three are right where the second object is found.
  ap = (51 + 50 * 2 / 3) / 101
  _check(errors, ap, {kind: 1 - ap}, {kind: 1}, false_positives=1 - ap)


def test_missed():
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B))
  errors, _, verdicts = _errors(truth, sets.detections((1, 1, _A, 0.9)))
  assert verdicts.missed.tolist() == [False, True]
  lost = 1 - _HALF
  _check(errors, _HALF, {'missed': lost}, {'missed': 1}, 0, lost)


def test_a_class_that_is_missed_altogether_does_not_count_once_that_is_mended():
  truth = sets.groundtruth((1, 1, _A), (1, 2, _B))
  errors, _, _ = _errors(truth, sets.detections((1, 1, _A, 0.9)))
  _check(errors, 0.5, {'missed': 0.5}, {'missed': 1}, 0, 0.5)
  errors, _, _ = _errors(truth, [])
  _check(errors, 0, {'missed': 1}, {'missed': 2}, 0, 1)


def test_of_detections_of_one_object_the_best_stays_once_they_are_mended():
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B))
  found = sets.detections(
    (1, 1, sets.LESS, 0.9),
    (1, 1, sets.MOST, 0.8),
    (1, 1, _LESS_OF_B, 0.7),
    (1, 1, _LESS_OF_B, 0.6),
  )
  errors, types, _ = _errors(truth, found)
  assert types == {
    0.9: 'localisation',
    0.8: 'true positive',
    0.7: 'localisation',
    0.6: 'localisation',
  }
  # Now: half of two are right at a recall of 0.5. Then 0.9 and 0.7 are right,
  # and the others gone.
  _check(
    errors,
    0.5 * _HALF,
    {'localisation': 1 - 0.5 * _HALF},
    {'localisation': 3},
    false_positives=0.5 * _HALF,
    false_negatives=0.5 - 0.5 * _HALF,
  )


def test_another_class_on_a_found_object_replaces_only_what_is_less_sure():
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B), (1, 2, _C))
  found = sets.detections(
    (1, 1, _D, 0.8),
    (1, 2, _C, 0.75),
    (1, 1, _A, 0.7),
    (1, 1, _B, 0.6),
    (1, 2, _A, 0.9),
    (1, 2, _B, 0.5),
  )
  errors, types, _ = _errors(truth, found)
  assert types[0.9] == types[0.5] == 'classification'
  assert types[0.8] == 'background'
  # Class 1 now: wrong, right, right; precision 2/3 throughout. With 0.9 in the
  # place of 0.7: right, wrong, right. Class 2 now: wrong, right, wrong.
  now = (2 / 3 + 1 / 2) / 2
  mended = ((51 + 50 * 2 / 3) / 101 + 1) / 2
  _check(
    errors,
    now,
    {
      'classification': mended - now,
      'background': (1 + 1 / 2) / 2 - now,
    },
    {'classification': 2, 'background': 1},
    false_positives=1 - now,
  )


def test_which_type_is_meant_where_two_fit():
  truth = sets.groundtruth(
    (1, 1, sets.LESS), (1, 2, sets.WHOLE), (1, 1, _B), (1, 2, _B), (1, 1, _C)
  )
  found = sets.detections(
    # 0.4 with its own class, 1 with the other.
    (1, 1, sets.WHOLE, 0.99),
    # A second time its own, and the other's too.
    (1, 1, _B, 0.9),
    (1, 1, _B, 0.8),
    # 0.2 with the other class; 0.05 with its own.
    (1, 2, sets.moved(sets.LITTLE, 200), 0.7),
    (1, 1, sets.moved([0, 0, 10, 0.5], 200), 0.6),
  )
  _, types, verdicts = _errors(truth, found)
  assert types == {
    0.99: 'localisation',
    0.9: 'true positive',
    0.8: 'classification',
    0.7: 'both',
    0.6: 'background',
  }
  assert verdicts.objects.tolist() == [0, 2, 3, 4, -1]
  assert verdicts.missed.tolist() == [False, True, False, False, True]


def test_crowds_are_neither_missed_nor_overlapped():
  truth = sets.groundtruth((1, 1, _A), (1, 1, _B, True), (1, 2, _C, True))
  found = sets.detections((1, 1, _A, 0.7), (1, 1, _B, 0.9), (1, 1, _C, 0.8))
  errors, types, verdicts = _errors(truth, found)
  assert types == {0.7: 'true positive', 0.9: 'crowd', 0.8: 'background'}
  assert not verdicts.missed.any()
  _check(errors, 0.5, {'background': 0.5}, {'background': 1}, 0.5)


def test_masks_go_by_their_own_overlap():
  truth = sets.groundtruth((1, 1, _A))
  found = sets.detections((1, 1, _A, 0.9))
  sets.with_masks(truth, found)
  below = sets.detections((1, 1, [0, 6, 10, 4], 0.9))
  sets.with_masks({'annotations': []}, below)
  found[0]['segmentation'] = below[0]['segmentation']
  assert _errors(truth, found)[1] == {0.9: 'true positive'}
  # Of 75 pixels the mask shares 4 x 5, and has 30 itself.
  errors, types, verdicts = _errors(truth, found, 'segm')
  assert types == {0.9: 'localisation'}
  assert verdicts.ious == pytest.approx([20 / 85])
  _check(errors, 0, {'localisation': 1}, {'localisation': 1}, 0, 1)


def test_a_set_without_objects():
  errors, types, _ = _errors(
    sets.groundtruth(), sets.detections((1, 1, _A, 0.9))
  )
  assert types == {0.9: 'background'}
  _check(errors, -1, {}, {'background': 1})
