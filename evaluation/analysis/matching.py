"""Which detection finds which object, as COCO matches them.

https://cocodataset.org/#detection-eval; all thresholds and area ranges at once,
from the overlaps of each image, computed once.
"""

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
from pycocotools import mask as mask_lib

from evaluation import entries
from utils import mask_utils

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
# Least and most pixels^2: all, small, medium, large.
AREA_RANGES = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
MAX_DETECTIONS = 100  # of a class in an image
# Below it, an overlap means nothing to any analysis.
LEAST_OVERLAP = 0.1

_PAIR = ['detections', 'objects', 'ious']


# A detection or an object; see `Matches`.
_ENTRY = [
  ('rows', np.int64),
  ('images', np.int32),
  ('classes', np.int32),
  ('areas', np.float64),
  ('scores', np.float64),
  ('ranks', np.int32),
  ('is_crowd', bool),
]


class Matches(NamedTuple):
  """Detections (D) and objects (G) of one set, and what finds what.

  Attributes:
    num_classes: K.
    detections: [D], records of `rows` (in the list of detections), `images`,
      `classes` (positions), `areas` (pixels^2), `scores` and `ranks` (within
      class and image, from 0); by image and falling score, those of known
      classes and images, scored above 0, the best `MAX_DETECTIONS` of each
      class in an image.
    objects: [G], likewise, by image, with `is_crowd`.
    pairs: [P], records of overlaps: the positions `detections`, rising, and
      `objects`, of any class, and `ious`, at least `LEAST_OVERLAP`; with a
      crowd, the share of the detection that lies in it.
    found: int32 [4 area ranges, 10 IoU thresholds, D], the object that a
      detection finds, or -1. An ignored object may be found.
    ignored: bool [4 area ranges, G], crowds and objects outside the range.
    inside: bool [4 area ranges, D], whether the detection is in the range.
      Outside, it is not wrong if it finds nothing.
  """

  num_classes: int
  detections: np.recarray
  objects: np.recarray
  pairs: np.recarray
  found: np.ndarray
  ignored: np.ndarray
  inside: np.ndarray

  def true_positives(self) -> np.ndarray:
    """Returns bool [4, 10, D]: those that find an object that counts."""
    counts = np.append(~self.ignored, np.zeros([4, 1], bool), axis=1)
    return np.stack([c[f] for c, f in zip(counts, self.found)])


def match(
  groundtruth: Dict[str, Any],
  detections: List[Dict[str, Any]],
  image_ids: Sequence[int],
  class_ids: Sequence[int],
  iou_type: str,
) -> Matches:
  """Matches detections to groundtruth, per class and image.

  Args:
    groundtruth: images, annotations and categories in COCO's format.
    detections: in COCO's result format, each with an `area`; masks are
      compressed run lengths.
    image_ids: the images to take into account, rising.
    class_ids: of all categories, rising.
    iou_type: 'bbox' or 'segm'.
  """
  key = entries.KEYS[iou_type]
  images = {image_id: position for position, image_id in enumerate(image_ids)}
  classes = {class_id: position for position, class_id in enumerate(class_ids)}
  annotations = groundtruth['annotations']
  objects = _entries(annotations, key, images, classes)
  objects = objects[np.argsort(objects.images, kind='stable')]
  found = _entries(detections, key, images, classes)
  found = _ranked(found[found.scores > 0], len(class_ids))
  sizes = {}
  if iou_type == 'segm':
    sizes = {e['id']: (e['height'], e['width']) for e in groundtruth['images']}
  shapes = [
    _shapes([rows[row] for row in part.rows], key, sizes)
    for rows, part in ((detections, found), (annotations, objects))
  ]
  pairs = _overlaps(found, objects, shapes, len(image_ids))
  least, most = AREA_RANGES[:, :1], AREA_RANGES[:, 1:]
  ignored = objects.is_crowd | (objects.areas < least) | (objects.areas > most)
  return Matches(
    len(class_ids),
    found,
    objects,
    pairs,
    _found(pairs, found, objects, ignored),
    ignored,
    (found.areas >= least) & (found.areas <= most),
  )


def _entries(rows, key, images, classes) -> np.recarray:
  known = [
    (
      number,
      images[row['image_id']],
      classes[row['category_id']],
      row['area'],
      row.get('score', 0.0),
      0,
      bool(row.get('iscrowd')),
    )
    for number, row in enumerate(rows)
    if row['image_id'] in images
    and row['category_id'] in classes
    and key in row
  ]
  return np.array(known, np.dtype(_ENTRY, align=True)).view(np.recarray)


def _ranked(detections, num_classes) -> np.recarray:
  """By image and falling score, those after the best ones left out."""
  order = np.lexsort((-detections.scores, detections.images))
  detections = detections[order]
  groups = detections.images.astype(np.int64) * num_classes + detections.classes
  order = np.argsort(groups, kind='stable')
  first = np.searchsorted(groups[order], groups[order])
  detections.ranks[order] = np.arange(len(groups)) - first
  return detections[detections.ranks < MAX_DETECTIONS]


def _shapes(rows, key, sizes) -> Any:
  """Boxes, float [n, 4], or run lengths in the sizes of the images."""
  if not sizes:
    return np.array([row[key] for row in rows], np.float64).reshape(-1, 4)
  return [mask_utils.to_rle(row[key], *sizes[row['image_id']]) for row in rows]


def _overlaps(detections, objects, shapes, num_images) -> np.recarray:
  limits = np.arange(num_images + 1)
  starts = [np.searchsorted(e.images, limits) for e in (detections, objects)]
  found: List[Tuple[np.ndarray, ...]] = [3 * (np.zeros(0, np.int64),)]
  for first, last, first_object, last_object in zip(
    starts[0], starts[0][1:], starts[1], starts[1][1:]
  ):
    if first < last and first_object < last_object:
      ious = mask_lib.iou(
        shapes[0][first:last],
        shapes[1][first_object:last_object],
        objects.is_crowd[first_object:last_object],
      )
      row, column = np.nonzero(ious >= LEAST_OVERLAP)
      found.append((row + first, column + first_object, ious[row, column]))
  return np.rec.fromarrays(
    [np.concatenate(column) for column in zip(*found)],
    names=_PAIR,
  )


def _found(pairs, detections, objects, ignored) -> np.ndarray:
  """The object of each detection; see `Matches.found`.

  The best detections of all images and classes choose first, together; then
  the second best ones, and so on.
  """
  found = np.full([4, len(IOU_THRESHOLDS), len(detections)], -1, np.int32)
  taken = np.zeros([4, len(IOU_THRESHOLDS), len(objects)], bool)
  of_class = detections.classes[pairs.detections]
  pairs = pairs[
    (of_class == objects.classes[pairs.objects])
    & (pairs.ious >= IOU_THRESHOLDS[0])
  ]
  ranks = detections.ranks[pairs.detections]
  for rank in np.unique(ranks):
    rows, choice, ious = (pairs[ranks == rank][name] for name in _PAIR)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    free = (ious >= IOU_THRESHOLDS[:, np.newaxis]) & (
      ~taken[:, :, choice] | objects.is_crowd[choice]
    )
    counts = ~ignored[:, np.newaxis, choice]
    best = _last_of_the_best(free & counts, ious, starts)
    # What is ignored is found by what finds nothing else.
    best = np.where(
      best < 0, _last_of_the_best(free & ~counts, ious, starts), best
    )
    best = np.where(best < 0, -1, choice[best])
    found[:, :, rows[starts]] = best
    area, threshold, _ = np.nonzero(best >= 0)
    taken[area, threshold, best[best >= 0]] = True
  return found


def _last_of_the_best(allowed, ious, starts) -> np.ndarray:
  """Of each segment of pairs, the last with the highest IoU; -1 for none."""
  values = np.where(allowed, ious, -1.0)
  best = np.maximum.reduceat(values, starts, axis=-1)
  lengths = np.diff(np.append(starts, len(ious)))
  is_best = allowed & (values == np.repeat(best, lengths, axis=-1))
  positions = np.where(is_best, np.arange(len(ious)), -1)
  return np.maximum.reduceat(positions, starts, axis=-1)
