"""COCO's average precision and recall (https://cocodataset.org/#detection-eval).

Boxes or masks of one data set are matched by a backend, which yields arrays of
precision and recall; the metrics are means over parts of these arrays.
"""

import contextlib
import io
from typing import Any, Collection, Dict, Iterable, NamedTuple

import faster_coco_eval
import numpy as np
from faster_coco_eval import faster_eval_api_cpp
from faster_coco_eval import mask_api_new_cpp as mask_api
from pycocotools import coco as pycoco
from pycocotools import cocoeval as pycocoeval

from evaluation import entries
from utils import garbage_collection, registry

BACKENDS = registry.Registry('eval.backend')

# Positions on the axes of the arrays that the backends return.
_AREAS = {'all': 0, 'small': 1, 'medium': 2, 'large': 3}
_MAX_DETECTIONS = {1: 0, 10: 1, 100: 2}
_IOU_THRESHOLDS = {0.5: 0, 0.75: 5}


class MatchingResult(NamedTuple):
  """Precision and recall of a data set; -1 where there is no groundtruth.

  Attributes:
    precision: [10 IoU thresholds, 101 recalls, classes, 4 area ranges, 3
      limits of detections an image].
    recall: the same without the axis of recalls.
    num_objects: groundtruth of each class without crowds, by class id in the
      order of the axis of classes.
  """

  precision: np.ndarray
  recall: np.ndarray
  num_objects: Dict[int, int]


# Rows are many and in no cycles; looking for some takes half the time.
@garbage_collection.paused()
def match(
  groundtruth: Dict[str, Any],
  detections: np.ndarray,
  image_ids: Iterable[int],
  iou_type: str = 'bbox',
  backend: str = 'faster_coco_eval',
) -> MatchingResult:
  """Matches detections to groundtruth, per class and image.

  Args:
    groundtruth: images, annotations and categories in COCO's format.
    detections: records of `entries.DTYPE`, in these images. Those of a class
      that the groundtruth does not list do not count.
    image_ids: the images to take into account.
    iou_type: 'bbox' or 'segm'.
    backend: a name in `BACKENDS`.

  Returns:
    What the metrics are computed from.

  Raises:
    errors.ConfigError: the backend is unknown.
  """
  run = BACKENDS.get(backend)
  image_ids = set(image_ids)
  num_objects = count_objects(groundtruth, image_ids)
  precision = -np.ones([10, 101, len(num_objects), 4, 3])
  recall = -np.ones([10, len(num_objects), 4, 3])
  images = [e for e in groundtruth['images'] if e['id'] in image_ids]
  objects = entries.from_coco(groundtruth['annotations'], images, iou_type)
  parts = [
    part[np.lexsort((-part['score'], part['image_id'], part['category_id']))]
    for part in (objects, detections)
  ]
  keys = np.array(list(num_objects), np.int64)
  spans = [_spans(part['category_id'], keys) for part in parts]
  # Alone, a class takes little memory, and most classes are in few images.
  for position, count in enumerate(num_objects.values()):
    if count:
      of_class = [part[slice(*at[position])] for part, at in zip(parts, spans)]
      ids = np.unique(np.concatenate([part['image_id'] for part in of_class]))
      for part in of_class:
        part['image_id'] = np.searchsorted(ids, part['image_id'])
      result = run(*of_class, list(range(len(ids))), iou_type)
      precision[:, :, position] = result['precision'][:, :, 0]
      recall[:, position] = result['recall'][:, 0]
  return MatchingResult(precision, recall, num_objects)


def _spans(values, keys) -> np.ndarray:
  """Where each key begins and ends in rising values, int [keys, 2]."""
  sides = [np.searchsorted(values, keys, side) for side in ('left', 'right')]
  return np.transpose(sides)


def count_objects(
  groundtruth: Dict[str, Any], image_ids: Iterable[int]
) -> Dict[int, int]:
  """Objects of some images by class id, in order; crowds do not count.

  Args:
    groundtruth: images, annotations and categories in COCO's format.
    image_ids: the images to take into account.
  """
  counts = dict.fromkeys(
    sorted(entry['id'] for entry in groundtruth['categories']), 0
  )
  image_ids = set(image_ids)
  for entry in groundtruth['annotations']:
    if entry['image_id'] in image_ids and not entry.get('iscrowd'):
      counts[entry['category_id']] += 1
  return counts


@BACKENDS.register('faster_coco_eval')
def _match_in_cpp(objects, detections, images, iou_type):
  params = faster_coco_eval.COCOeval_faster(iouType=iou_type).params
  params.imgIds, params.catIds = images, [0]
  spans = [_spans(part['image_id'], images) for part in (detections, objects)]
  datasets = [_dataset(part) for part in (objects, detections)]
  key = entries.KEYS[iou_type]
  found, others = detections[key].tolist(), objects[key].tolist()
  crowds = objects['iscrowd'].tolist()
  ious = [
    [mask_api.iou(found[a:b], others[c:d], crowds[c:d])]
    if a < b and c < d
    else [[]]
    for a, b, c, d in np.hstack(spans).tolist()
  ]
  del found, others  # Of one class alone, they are large.
  return faster_eval_api_cpp.COCOevalEvaluateAccumulate(
    params, ious, *datasets, params.imgIds, params.catIds, True
  )


def _dataset(part) -> faster_eval_api_cpp.Dataset:
  dataset = faster_eval_api_cpp.Dataset()
  names = 'image_id', 'area', 'score', 'iscrowd'
  rows = zip(*(part[name].tolist() for name in names))
  # Matching takes the id 0 for "not matched".
  for n, (image, area, score, c) in enumerate(rows, start=1):
    row = {'id': n, 'area': area, 'score': score, 'iscrowd': c, 'ignore': c}
    dataset.append(image, 0, row)
  return dataset


@BACKENDS.register('pycocotools')
def _match_in_python(objects, detections, images, iou_type):
  # It reports its progress on the standard output.
  with contextlib.redirect_stdout(io.StringIO()):
    evaluation = pycocoeval.COCOeval(
      *(_index(part, images) for part in (objects, detections)), iou_type
    )
    evaluation.evaluate()
    evaluation.accumulate()
  return evaluation.eval


def _index(part, images) -> pycoco.COCO:
  api = pycoco.COCO()
  rows = entries.to_rows(part, entries.DTYPE.names)
  # Run lengths know the sizes of images.
  api.dataset = {
    'images': [{'id': image, 'height': 0, 'width': 0} for image in images],
    'categories': [{'id': key} for key in set(part['category_id'].tolist())],
    'annotations': [dict(row, id=n) for n, row in enumerate(rows, start=1)],
  }
  api.createIndex()
  return api


def coco_metrics(result: MatchingResult) -> Dict[str, np.float32]:
  """Returns the twelve metrics, over all classes, in COCO's order.

  Without any sample, for instance AP of large objects where there are none, a
  metric is -1.
  """
  return {
    'AP': _precision(result),
    'AP50': _precision(result, iou_threshold=0.5),
    'AP75': _precision(result, iou_threshold=0.75),
    'APs': _precision(result, area='small'),
    'APm': _precision(result, area='medium'),
    'APl': _precision(result, area='large'),
    'ARmax1': _recall(result, max_detections=1),
    'ARmax10': _recall(result, max_detections=10),
    'ARmax100': _recall(result),
    'ARs': _recall(result, area='small'),
    'ARm': _recall(result, area='medium'),
    'ARl': _recall(result, area='large'),
  }


# Name of each metric in a class, and where the class follows.
CATEGORY_METRICS = {
  'AP': 'Precision mAP ByCategory/',
  'AP50': 'Precision mAP ByCategory@50IoU/',
  'AP75': 'Precision mAP ByCategory@75IoU/',
  'APs': 'Precision mAP ByCategory (small)/',
  'APm': 'Precision mAP ByCategory (medium)/',
  'APl': 'Precision mAP ByCategory (large)/',
  'ARmax1': 'Recall AR@1 ByCategory/',
  'ARmax10': 'Recall AR@10 ByCategory/',
  'ARmax100': 'Recall AR@100 ByCategory/',
  'ARs': 'Recall AR (small) ByCategory/',
  'ARm': 'Recall AR (medium) ByCategory/',
  'ARl': 'Recall AR (large) ByCategory/',
}
CATEGORY_OBJECTS = 'Objects ByCategory/'


def category_metrics(
  result: MatchingResult, names: Dict[int, str]
) -> Dict[str, np.float32]:
  """Returns the twelve metrics of every class.

  Args:
    result: of `match`.
    names: class names by id; a class without one goes by its id.

  Returns:
    Metrics by a prefix of `CATEGORY_METRICS` followed by the class, and the
    number of objects by `CATEGORY_OBJECTS` followed by the class.
  """
  metrics = {}
  for category_id, count in result.num_objects.items():
    of_class = coco_metrics(of_classes(result, [category_id]))
    name = names.get(category_id, str(category_id))
    metrics[CATEGORY_OBJECTS + name] = np.float32(count)
    for metric, prefix in CATEGORY_METRICS.items():
      metrics[prefix + name] = of_class[metric]
  return metrics


def of_classes(
  result: MatchingResult, class_ids: Collection[int]
) -> MatchingResult:
  """Returns what a result says of some classes, as far as it has them."""
  counts = result.num_objects
  at = [i for i, class_id in enumerate(counts) if class_id in class_ids]
  return MatchingResult(
    result.precision[:, :, at],
    result.recall[:, at],
    {key: counts[key] for key in counts if key in class_ids},
  )


def _precision(result, iou_threshold=None, area='all') -> np.float32:
  precision = result.precision[..., _AREAS[area], _MAX_DETECTIONS[100]]
  if iou_threshold is not None:
    precision = precision[_IOU_THRESHOLDS[iou_threshold]]
  return _mean_of_samples(precision)


def _recall(result, area='all', max_detections=100) -> np.float32:
  return _mean_of_samples(
    result.recall[..., _AREAS[area], _MAX_DETECTIONS[max_detections]]
  )


def _mean_of_samples(values) -> np.float32:
  samples = values[values > -1]
  return np.float32(np.mean(samples) if samples.size else -1)
