"""Everything that a report says of detections, in numbers.

Matches are those of COCO: the best score first, at most 100 detections of a
class in an image, crowds neither found nor missed. Where one IoU is needed, it
is 0.5. Rows whose score is not above 0 hold no detection.
"""

from typing import Any, Collection, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from evaluation import batches, coco_metrics
from evaluation.analysis import (
  bootstrap,
  confusion,
  error_types,
  matching,
  scores,
)
from utils import errors

_SEED = 0
_TRUE, _CROWD = map(error_types.TYPES.index, ('true positive', 'crowd'))


class ClassNumbers(NamedTuple):
  """A class.

  Attributes:
    id: of the category.
    name: of the category, or its id.
    objects: number of objects, without crowds.
    AP: average precision, as of `coco_metrics`; -1 without objects.
    AP50: at IoU 0.5.
    AP75: at IoU 0.75.
    AR: average recall of at most 100 detections an image.
    best_f1: the highest harmonic mean of precision and recall at IoU 0.5; 0
      without a true positive.
    best_score: the least score of detections that gives `best_f1`; without a
      true positive the one that is best over all classes, and if none has any,
      the one that leaves as many detections as there are objects.
  """

  id: int
  name: str
  objects: int
  AP: float
  AP50: float
  AP75: float
  AR: float
  best_f1: float
  best_score: float


class SizeNumbers(NamedTuple):
  """Objects of an area range.

  Attributes:
    name: 'small', 'medium' or 'large'.
    objects: number of objects, without crowds.
    AP: average precision; -1 without objects.
    AR: average recall of at most 100 detections an image.
    found: how many of the objects any detection finds.
  """

  name: str
  objects: int
  AP: float
  AR: float
  found: int


class PrecisionRecall(NamedTuple):
  """Interpolated precision at the recalls 0, 0.01, ..., 1.

  Attributes:
    iou_50: float [101], at IoU 0.5.
    iou_75: float [101], at IoU 0.75.
    mean: float [101], over IoU 0.5, 0.55, ..., 0.95.
  """

  iou_50: np.ndarray
  iou_75: np.ndarray
  mean: np.ndarray


class Detections(NamedTuple):
  """Detections that take part, D of them, by image and falling score.

  Attributes:
    rows: int [D], positions in the list of detections.
    images: int [D], positions in `Images`.
    classes: int [D], positions in `Analysis.classes`.
    scores: float [D].
    types: int [D], positions in `error_types.TYPES`.
    objects: int [D], positions in `Objects`: the object found, or of an error
      the one that the type goes by; -1 of background and crowds.
    ious: float [D], with this object; 0 without.
    kept: bool [D], whether the score is at least its class's `best_score`.
  """

  rows: np.ndarray
  images: np.ndarray
  classes: np.ndarray
  scores: np.ndarray
  types: np.ndarray
  objects: np.ndarray
  ious: np.ndarray
  kept: np.ndarray


class Objects(NamedTuple):
  """Groundtruth without crowds, G objects by image.

  Attributes:
    rows: int [G], positions in the list of annotations.
    images: int [G], positions in `Images`.
    classes: int [G], positions in `Analysis.classes`.
    areas: float [G], in pixels^2.
    detections: int [G], positions in `Detections`: what finds the object; -1
      if nothing does.
    missed: bool [G], whether no detection finds it, nor would if its class or
      its place were right.
    kept: bool [G], whether a detection that is `kept` finds it.
  """

  rows: np.ndarray
  images: np.ndarray
  classes: np.ndarray
  areas: np.ndarray
  detections: np.ndarray
  missed: np.ndarray
  kept: np.ndarray


class Images(NamedTuple):
  """N images in the order of their ids, with detections that are `kept`.

  Attributes:
    ids: int [N].
    true_positives: int [N].
    false_positives: int [N].
    false_negatives: int [N], objects that no detection finds.
    f1: float [N], from these; 1 where there is nothing to find or detected.
      The worst image is the one with the least.
  """

  ids: np.ndarray
  true_positives: np.ndarray
  false_positives: np.ndarray
  false_negatives: np.ndarray
  f1: np.ndarray


class Analysis(NamedTuple):
  """All numbers of a run, of boxes or of masks.

  Attributes:
    iou_type: 'bbox' or 'segm'.
    metrics: the twelve of `coco_metrics.coco_metrics`, without a prefix.
    intervals: 95 % interval of each metric; without samples it is (-1, -1).
    replicates: float [R, 12], the metrics of R resamples of the images, NaN
      without samples. The same images give the same resamples.
    class_replicates: float [R, classes], AP of each class; likewise.
    classes: those of the groundtruth by id; K of them.
    sizes: small, medium and large objects.
    precision_recall: by class id, and by None over all classes; classes without
      objects are absent.
    confusion: int [K + 1, K + 1], true classes by predicted ones, the last of
      each is background: detections that are `kept`, each with the object that
      it finds, and those left with one of another class at IoU 0.5.
    histogram: scores of true and of false positives.
    calibration: of scores.
    errors: in the manner of TIDE.
    detections: each detection.
    objects: each object.
    images: each image.
  """

  iou_type: str
  metrics: Dict[str, np.float32]
  intervals: Dict[str, Tuple[float, float]]
  replicates: np.ndarray
  class_replicates: np.ndarray
  classes: List[ClassNumbers]
  sizes: List[SizeNumbers]
  precision_recall: Dict[Optional[int], PrecisionRecall]
  confusion: np.ndarray
  histogram: scores.ScoreHistogram
  calibration: scores.Calibration
  errors: error_types.Errors
  detections: Detections
  objects: Objects
  images: Images


def analyse(
  groundtruth: Dict[str, Any],
  detections: List[Dict[str, Any]],
  iou_type: str = 'bbox',
  image_ids: Optional[Collection[int]] = None,
  names: Optional[Dict[int, str]] = None,
  result: Optional[coco_metrics.MatchingResult] = None,
) -> Analysis:
  """Computes all numbers of a report.

  Args:
    groundtruth: images, annotations and categories in COCO's format, as
      `annotation_file.load_annotations` gives them.
    detections: in COCO's result format; get an `area`. Masks need compressed
      run lengths. Rows without a box, or a mask for 'segm', do not count.
    iou_type: 'bbox' or 'segm'.
    image_ids: the images to take into account; all of them by default.
    names: of classes by id; by default those of the groundtruth.
    result: of `coco_metrics.match` for the same, if known.

  Raises:
    errors.DataError: the groundtruth has no images or no classes.
  """
  of_all = {entry['id'] for entry in groundtruth['images']}
  ids = sorted(of_all if image_ids is None else image_ids)
  classes = {e['id']: e.get('name') for e in groundtruth['categories']}
  if not (ids and classes):
    raise errors.DataError(
      f'There is nothing to analyse in {len(ids)} images and {len(classes)} '
      'classes. Give groundtruth with objects.'
    )
  batches.add_areas(detections)
  if result is None:
    scored = [e for e in detections if matching.KEYS[iou_type] in e]
    result = coco_metrics.match(groundtruth, scored, ids, iou_type)
  matches = matching.match(
    groundtruth, detections, ids, sorted(classes), iou_type
  )
  verdicts = error_types.judge(matches)
  numbers = _class_numbers(result, matches, verdicts, names or classes)
  metrics = coco_metrics.coco_metrics(result)
  replicates = bootstrap.replicates(matches, bootstrap.draw(len(ids), _SEED))
  found, counts = matches.detections, verdicts.types != _CROWD
  best_scores = np.array([entry.best_score for entry in numbers])
  kept = found.scores >= best_scores[found.classes]
  of_scores = found.scores[counts], verdicts.types[counts] == _TRUE
  return Analysis(
    iou_type,
    metrics,
    dict(zip(metrics, map(bootstrap.interval, replicates.metrics.T))),
    *replicates,
    numbers,
    _size_numbers(metrics, matches, verdicts),
    _precision_recall(result),
    confusion.count(matches, verdicts, kept),
    scores.histogram(*of_scores),
    scores.calibration(*of_scores),
    error_types.weigh(matches, verdicts),
    *_entries(matches, verdicts, kept, ids),
  )


def _class_numbers(result, matches, verdicts, names) -> List[ClassNumbers]:
  metrics = coco_metrics.category_metrics(result, {})
  found, is_true = matches.detections, verdicts.types == _TRUE
  counts = verdicts.types != _CROWD
  total = sum(result.num_objects.values())
  f1, best_of_all = scores.best_f1(found.scores[counts], is_true[counts], total)
  if not f1:
    # As with ids of other classes, which the confusion should show.
    best = np.sort(found.scores[counts])[-max(total, 1) :]
    best_of_all = float(best.min(initial=np.inf))
  numbers = []
  for position, (key, num_objects) in enumerate(result.num_objects.items()):
    of_class = counts & (found.classes == position)
    f1, score = scores.best_f1(
      found.scores[of_class], is_true[of_class], num_objects
    )
    averages = (
      metrics[f'{coco_metrics.CATEGORY_METRICS[name]}{key}']
      for name in ('AP', 'AP50', 'AP75', 'ARmax100')
    )
    name, score = names.get(key) or str(key), score if f1 else best_of_all
    numbers.append(ClassNumbers(key, name, num_objects, *averages, f1, score))
  return numbers


def _size_numbers(metrics, matches, verdicts) -> List[SizeNumbers]:
  numbers = []
  for name, ignored in zip(('small', 'medium', 'large'), matches.ignored[1:]):
    found = ~ignored & (verdicts.finders >= 0)
    averages = metrics['AP' + name[0]], metrics['AR' + name[0]]
    numbers.append(
      SizeNumbers(name, int(np.sum(~ignored)), *averages, int(found.sum()))
    )
  return numbers


def _precision_recall(result) -> Dict[Optional[int], PrecisionRecall]:
  # All areas, and 100 detections an image.
  precision = np.moveaxis(result.precision[..., 0, 2], 2, 0)
  counts = result.num_objects
  curves = {key: c for key, c in zip(counts, precision) if counts[key]}
  if curves:
    curves = {None: np.mean(list(curves.values()), axis=0), **curves}
  return {
    key: PrecisionRecall(curve[0], curve[5], curve.mean(axis=0))
    for key, curve in curves.items()
  }


def _entries(
  matches, verdicts, kept, image_ids
) -> Tuple[Detections, Objects, Images]:
  found, is_object = matches.detections, ~matches.objects.is_crowd
  objects = matches.objects.take(is_object)
  positions = np.append(np.cumsum(is_object) - 1, -1)[verdicts.objects]
  finders = verdicts.finders[is_object]
  is_kept = (finders >= 0) & np.append(kept, False)[finders]
  is_false = kept & (verdicts.types != _TRUE) & (verdicts.types != _CROWD)
  true, false, missed = (
    np.bincount(images, minlength=len(image_ids))
    for images in (
      objects.images[is_kept],
      found.images[is_false],
      objects.images[~is_kept],
    )
  )
  total = 2 * true + false + missed
  # Nothing to find and nothing detected is all right.
  f1 = np.where(total, 2 * true / np.maximum(total, 1), 1)
  columns = found.rows, found.images, found.classes, found.scores
  return (
    Detections(*columns, verdicts.types, positions, verdicts.ious, kept),
    Objects(*objects[:4], finders, verdicts.missed[is_object], is_kept),
    Images(np.array(image_ids), true, false, missed, f1),
  )
