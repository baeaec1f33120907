"""Types of errors of detections, and what each costs.

In the manner of TIDE (https://arxiv.org/abs/2008.08115): a detection that finds
nothing at IoU 0.5 is in error about the object that it overlaps most. Where two
types fit, the first of these is meant, as in the program of its authors:
localisation, classification, duplicate, background, both. As everywhere here,
classes without objects do not count.
"""

from typing import Dict, NamedTuple, Tuple

import numpy as np

from evaluation.analysis import average_precision, matching

# Of an error, in the order of the paper.
ERRORS = (
  'classification',
  'localisation',
  'both',
  'duplicate',
  'background',
  'missed',
)
# Of a detection; on a crowd it is neither right nor wrong.
TYPES = ('true positive', 'crowd', *ERRORS[:-1])
TRUE, CROWD = 0, 1
# Least overlap of a detection that is right.
FOUND = 0.5


class Verdicts(NamedTuple):
  """What each of D detections and G objects is.

  Attributes:
    types: int [D], positions in `TYPES`.
    objects: int [D], positions in `Matches.objects`: the object found, or the
      one that the error is about; -1 of background and crowds.
    ious: float [D], with this object; 0 without.
    finders: int [G], the detection that finds the object, or -1.
    missed: bool [G], objects, crowds not among them, that nothing finds, and
      that no error of classification or localisation is about.
  """

  types: np.ndarray
  objects: np.ndarray
  ious: np.ndarray
  finders: np.ndarray
  missed: np.ndarray


class Errors(NamedTuple):
  """What is lost to which error.

  Attributes:
    AP50: mean over the classes with objects, at IoU 0.5; -1 without.
    lost: by type, in the order of `ERRORS`, how much higher it would be if
      errors of this type alone were mended; then without all detections that
      find nothing, and without all objects that are not found.
    counts: int [classes, types], detections, of the class that they claim, or
      objects for 'missed'.
  """

  AP50: float
  lost: Dict[str, float]
  counts: np.ndarray


def judge(matches: matching.Matches) -> Verdicts:
  """Returns the type of error of each detection."""
  detections, objects = matches.detections, matches.objects
  found = matches.found[0, 0]
  counts = np.append(~objects.is_crowd, False)
  is_true = counts[found]
  pairs = matches.pairs[counts[matches.pairs.objects]]
  is_same = (
    detections.classes[pairs.detections] == objects.classes[pairs.objects]
  )
  same, same_iou = _closest(pairs[is_same], len(found))
  other, other_iou = _closest(pairs[~is_same], len(found))
  cases = (
    ('true positive', is_true, found),
    ('crowd', found >= 0, -1),
    ('localisation', (same >= 0) & (same_iou < FOUND), same),
    ('classification', other_iou >= FOUND, other),
    ('duplicate', same >= 0, same),
    ('background', other < 0, -1),
    ('both', True, other),
  )
  conditions = [np.broadcast_to(case[1], len(found)) for case in cases]
  types = np.select(conditions, [TYPES.index(case[0]) for case in cases])
  about = np.select(conditions, [case[2] for case in cases])
  ious = np.zeros(len(found))
  is_about = pairs.objects == about[pairs.detections]
  ious[pairs.detections[is_about]] = pairs.ious[is_about]
  finders = np.full(len(objects), -1)
  finders[found[is_true]] = np.flatnonzero(is_true)
  near = np.isin(types, [TYPES.index(n) for n in ERRORS[:2]])
  missed = ~objects.is_crowd & (finders < 0)
  missed[about[near]] = False
  return Verdicts(types, about, ious, finders, missed)


def _closest(pairs, count) -> Tuple[np.ndarray, np.ndarray]:
  """The object that each detection overlaps most, or -1, and their IoU."""
  order = np.lexsort((pairs.ious, pairs.detections))
  last = pairs[order[np.diff(pairs.detections[order], append=-1) != 0]]
  closest, ious = np.full(count, -1), np.zeros(count)
  closest[last.detections], ious[last.detections] = last.objects, last.ious
  return closest, ious


def weigh(matches: matching.Matches, verdicts: Verdicts) -> Errors:
  """Mends each type of error alone, as the paper does.

  A wrong class or place is put right; of several detections of an object, the
  best then stays. Other false positives are left out. So are missed objects.
  """
  detections, objects = matches.detections, matches.objects
  types, missed = verdicts.types, verdicts.missed
  is_true = types == TRUE

  def ap(is_left, is_true=is_true, classes=detections.classes, without=False):
    is_counted = ~(objects.is_crowd | without)
    is_left = is_left & (types != CROWD)
    return _mean_ap(
      classes[is_left],
      detections.scores[is_left],
      is_true[is_left],
      np.bincount(objects.classes[is_counted], minlength=matches.num_classes),
      # Nothing is lost where an error was all that there was.
      -1.0 if objects.is_crowd.all() else 1.0,
    )

  def ap_mended(kind):
    claims = np.flatnonzero(is_true | (types == kind))
    claims = claims[np.argsort(-detections.scores[claims], kind='stable')]
    about, first = np.unique(verdicts.objects[claims], return_index=True)
    best = claims[first]
    is_best = np.zeros_like(is_true)
    is_best[best] = True
    classes = detections.classes.copy()
    classes[best] = objects.classes[about]
    return ap(is_best | ~(is_true | (types == kind)), is_best, classes)

  better, classes = {}, []
  for name in ERRORS[:-1]:
    kind = TYPES.index(name)
    classes.append(detections.classes[types == kind])
    mends = name in ('classification', 'localisation')
    better[name] = ap_mended(kind) if mends else ap(types != kind)
  better['missed'] = ap(types >= 0, without=missed)
  better['all false positives'] = ap(is_true)
  better['all not found'] = ap(types >= 0, without=verdicts.finders < 0)
  ap_now = ap(types >= 0)
  counts = [
    np.bincount(of_type, minlength=matches.num_classes)
    for of_type in (*classes, objects.classes[missed])
  ]
  lost = {name: value - ap_now for name, value in better.items()}
  return Errors(ap_now, lost, np.transpose(counts))


def _mean_ap(classes, scores, is_true, num_objects, ap_of_nothing) -> float:
  """AP at one IoU, over the classes that have objects."""
  order = np.lexsort((-scores, classes))
  limits = np.searchsorted(classes[order], np.arange(len(num_objects) + 1))
  values = []
  for count, first, last in zip(num_objects, limits, limits[1:]):
    if count:
      total = np.flatnonzero(is_true[order[first:last]])[np.newaxis] + 1
      found = np.arange(1, total.size + 1)[np.newaxis]
      reached = average_precision.reached(np.array([count]))
      values.append(average_precision.mean(found, total, reached)[0])
  return float(np.mean(values)) if values else ap_of_nothing
