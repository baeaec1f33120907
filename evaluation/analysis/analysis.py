"""Everything that a report says of detections, in numbers.

Matches are those of COCO: the best score first, at most 100 detections of a
class in an image, crowds neither found nor missed. Where one IoU is needed, it
is 0.5. Rows whose score is not above 0 hold no detection.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from evaluation import batches, coco_metrics, entries
from evaluation.analysis import (
  bootstrap,
  confusion,
  error_types,
  matching,
  scores,
)
from utils import errors

# Numbers of fewer are hardly more than chance.
FEW_OBJECTS = 20


class Analysis(NamedTuple):
  """All numbers of a run, of boxes or of masks.

  Attributes:
    iou_type: 'bbox' or 'segm'.
    metrics: the twelve of `coco_metrics.coco_metrics`, without a prefix.
    intervals: 95 % interval of each metric; without samples it is (-1, -1).
    replicates: of `bootstrap.replicates`; the same images give the same.
    classes: those of the groundtruth by id, K of them, each with `id`, `name`,
      the number of `objects`, `AP`, `AP50`, `AP75` and `AR` as of
      `coco_metrics`, `best_f1` (the highest F1; 0 if nothing is right) and
      `best_score`, the least score that gives it. If nothing is right, that is
      the one that is best over all classes, and if nothing is right in any,
      the one that leaves as many detections as there are objects.
    sizes: small, medium and large objects: `name`, `objects`, how many of them
      are `found` by any detection, `AP`, `AR`, and as `rare` the classes with
      some, but fewer than `FEW_OBJECTS`: (name, number), fewest first.
    precision_recall: float [3, 101], precision at the recalls 0, 0.01, ..., 1:
      at IoU 0.5, at 0.75, and over 0.5, 0.55, ..., 0.95; by class id, and by
      None over all classes. Classes without objects are absent.
    confusion: int [K + 1, K + 1], of the detections that are `kept`; see
      `confusion.count`.
    histogram: int [2, 20], true and false positives by score.
    calibration: of scores.
    errors: in the manner of TIDE.
    detections: D records, as of `matching.Matches`.
    objects: likewise, G of them, crowds too.
    verdicts: on both.
    kept: bool [D], whether the score is at least its class's `best_score`.
    found: bool [G], whether a detection that is `kept` finds the object.
    images: N records by id, of what is `kept`: `ids`, `right`, `wrong`,
      `missed` and the `f1` of these, 1 where there is nothing to find or
      detected. The worst image is the one with the least.
  """

  iou_type: str
  metrics: Dict[str, float]
  intervals: Dict[str, Tuple[float, float]]
  replicates: Tuple[np.ndarray, np.ndarray]
  classes: List[Dict[str, Any]]
  sizes: List[Dict[str, Any]]
  precision_recall: Dict[Optional[int], np.ndarray]
  confusion: np.ndarray
  histogram: np.ndarray
  calibration: scores.Calibration
  errors: error_types.Errors
  detections: np.recarray
  objects: np.recarray
  verdicts: error_types.Verdicts
  kept: np.ndarray
  found: np.ndarray
  images: np.recarray


def analyse(
  groundtruth: Dict[str, Any],
  detections: List[Dict[str, Any]],
  iou_type: str = 'bbox',
) -> Analysis:
  """Computes all numbers of a report.

  Args:
    groundtruth: images, annotations and categories in COCO's format, as
      `annotation_file.load_annotations` gives them.
    detections: in COCO's result format; get an `area`. Masks need compressed
      run lengths. Rows without a box, or a mask for 'segm', do not count.
    iou_type: 'bbox' or 'segm'.

  Raises:
    errors.DataError: the groundtruth has no images or no classes.
  """
  ids = sorted(entry['id'] for entry in groundtruth['images'])
  names = {e['id']: e.get('name') for e in groundtruth['categories']}
  if not (ids and names):
    raise errors.DataError(
      f'There is nothing to analyse in {len(ids)} images and {len(names)} '
      'classes. Give groundtruth with objects.'
    )
  batches.add_areas(detections)
  scored = entries.from_coco(detections, groundtruth['images'], iou_type)
  result = coco_metrics.match(groundtruth, scored, ids, iou_type)
  metrics = {k: float(v) for k, v in coco_metrics.coco_metrics(result).items()}
  matches = matching.match(
    groundtruth, detections, ids, sorted(names), iou_type
  )
  verdicts = error_types.judge(matches)
  found, counts = matches.detections, verdicts.types != error_types.CROWD
  is_true = verdicts.types == error_types.TRUE
  classes = _classes(result, found[counts], is_true[counts], names)
  best_scores = np.array([entry['best_score'] for entry in classes])
  kept = found.scores >= best_scores[found.classes]
  is_found = (verdicts.finders >= 0) & np.append(kept, False)[verdicts.finders]
  replicates = bootstrap.replicates(matches, bootstrap.draw(len(ids)))
  return Analysis(
    iou_type,
    metrics,
    dict(zip(metrics, map(bootstrap.interval, replicates[0].T))),
    replicates,
    classes,
    _sizes(metrics, matches, verdicts, classes),
    _precision_recall(result),
    confusion.count(matches, verdicts, kept),
    scores.histogram(found.scores[counts], is_true[counts]),
    scores.calibration(found.scores[counts], is_true[counts]),
    error_types.weigh(matches, verdicts),
    found,
    matches.objects,
    verdicts,
    kept,
    is_found,
    _images(ids, matches, is_found, kept & counts & ~is_true),
  )


def _classes(result, found, is_true, names) -> List[Dict[str, Any]]:
  metrics = coco_metrics.category_metrics(result, {})
  total = sum(result.num_objects.values())
  f1, best_of_all = scores.best_f1(found.scores, is_true, total)
  if not f1:
    # As with ids of other classes, which the confusion should show.
    best = np.sort(found.scores)[-max(total, 1) :]
    best_of_all = float(best.min(initial=np.inf))
  classes = []
  for position, (key, num_objects) in enumerate(result.num_objects.items()):
    at = found.classes == position
    f1, score = scores.best_f1(found.scores[at], is_true[at], num_objects)
    entry = {'id': key, 'name': names[key] or str(key), 'objects': num_objects}
    for name in ('AP', 'AP50', 'AP75', 'ARmax100'):
      value = metrics[f'{coco_metrics.CATEGORY_METRICS[name]}{key}']
      entry[name.replace('max100', '')] = float(value)
    entry.update(best_f1=f1, best_score=score if f1 else best_of_all)
    classes.append(entry)
  return classes


def _sizes(metrics, matches, verdicts, classes) -> List[Dict[str, Any]]:
  sizes = []
  for name, ignored in zip(('small', 'medium', 'large'), matches.ignored[1:]):
    counts = np.bincount(
      matches.objects.classes[~ignored], minlength=len(classes)
    )
    rare = [i for i in np.argsort(counts) if 0 < counts[i] < FEW_OBJECTS]
    entry = {
      'name': name,
      'objects': int(np.sum(~ignored)),
      'found': int(np.sum(~ignored & (verdicts.finders >= 0))),
      'AP': metrics['AP' + name[0]],
      'AR': metrics['AR' + name[0]],
      'rare': [(classes[i]['name'], int(counts[i])) for i in rare],
    }
    sizes.append(entry)
  return sizes


def _precision_recall(result) -> Dict[Optional[int], np.ndarray]:
  # All areas, and 100 detections an image.
  precision = np.moveaxis(result.precision[..., 0, 2], 2, 0)
  curves: Dict[Optional[int], np.ndarray] = {
    key: np.array([curve[0], curve[5], curve.mean(axis=0)])
    for (key, count), curve in zip(result.num_objects.items(), precision)
    if count
  }
  if curves:
    curves[None] = np.mean(list(curves.values()), axis=0)
  return curves


def _images(ids, matches, is_found, is_wrong) -> np.recarray:
  objects = matches.objects
  right, wrong, missed = (
    np.bincount(images, minlength=len(ids))
    for images in (
      objects.images[is_found],
      matches.detections.images[is_wrong],
      objects.images[~is_found & ~objects.is_crowd],
    )
  )
  total = 2 * right + wrong + missed
  # Nothing to find and nothing detected is all right.
  f1 = np.where(total, 2 * right / np.maximum(total, 1), 1)
  return np.rec.fromarrays(
    [ids, right, wrong, missed, f1], names='ids, right, wrong, missed, f1'
  )
