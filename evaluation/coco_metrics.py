"""COCO's average precision and recall (https://cocodataset.org/#detection-eval).

Boxes or masks of one data set are matched by a backend, which yields arrays of
precision and recall; the metrics are means over parts of these arrays.
"""

import contextlib
import io
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

import faster_coco_eval
import numpy as np
from pycocotools import coco as pycoco
from pycocotools import cocoeval as pycocoeval

from utils import registry

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


def match(
  groundtruth: Dict[str, Any],
  detections: List[Dict[str, Any]],
  image_ids: Sequence[int],
  iou_type: str = 'bbox',
  backend: str = 'faster_coco_eval',
) -> MatchingResult:
  """Matches detections to groundtruth, per class and image.

  Args:
    groundtruth: images, annotations and categories in COCO's format. Its
      annotations are numbered anew, and the backend may add keys of its own.
    detections: in COCO's result format, each with an `area` in pixels^2.
      Those of a class that the groundtruth does not list do not count.
    image_ids: the images to take into account.
    iou_type: 'bbox' or 'segm'.
    backend: a name in `BACKENDS`.

  Returns:
    What the metrics are computed from.

  Raises:
    errors.ConfigError: the backend is unknown.
  """
  run = BACKENDS.get(backend)
  num_objects = count_objects(groundtruth, image_ids)
  category_ids = list(num_objects)
  if not category_ids or not len(image_ids):
    return MatchingResult(
      -np.ones([10, 101, len(category_ids), 4, 3]),
      -np.ones([10, len(category_ids), 4, 3]),
      num_objects,
    )
  known = set(category_ids)
  detections = [d for d in detections if d['category_id'] in known]
  # Matching takes the id 0 for "not matched", and ids need not be unique.
  for annotations in (groundtruth['annotations'], detections):
    for number, annotation in enumerate(annotations, start=1):
      annotation['id'] = number
  results = {
    'images': groundtruth['images'],
    'categories': groundtruth['categories'],
    'annotations': detections,
  }
  arrays = run(groundtruth, results, sorted(image_ids), category_ids, iou_type)
  return MatchingResult(arrays['precision'], arrays['recall'], num_objects)


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
def _match_in_cpp(groundtruth, results, image_ids, category_ids, iou_type):
  evaluation = faster_coco_eval.COCOeval_faster(
    _index(faster_coco_eval.COCO(), groundtruth),
    _index(faster_coco_eval.COCO(), results),
    iouType=iou_type,
    print_function=_discard,
  )
  return _run(evaluation, image_ids, category_ids)


@BACKENDS.register('pycocotools')
def _match_in_python(groundtruth, results, image_ids, category_ids, iou_type):
  # It reports its progress on the standard output.
  with contextlib.redirect_stdout(io.StringIO()):
    evaluation = pycocoeval.COCOeval(
      _index(pycoco.COCO(), groundtruth),
      _index(pycoco.COCO(), results),
      iouType=iou_type,
    )
    return _run(evaluation, image_ids, category_ids)


def _index(api, dataset):
  api.dataset = dataset
  api.createIndex()
  return api


def _run(evaluation, image_ids, category_ids):
  evaluation.params.imgIds = image_ids
  evaluation.params.catIds = category_ids
  evaluation.evaluate()
  evaluation.accumulate()
  return evaluation.eval


def _discard(*unused_args) -> None:
  """Takes the place of `print`."""


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
  for position, (category_id, count) in enumerate(result.num_objects.items()):
    one_class = slice(position, position + 1)
    of_class = coco_metrics(
      MatchingResult(
        result.precision[:, :, one_class],
        result.recall[:, one_class],
        {category_id: count},
      )
    )
    name = names.get(category_id, str(category_id))
    metrics[CATEGORY_OBJECTS + name] = np.float32(count)
    for metric, prefix in CATEGORY_METRICS.items():
      metrics[prefix + name] = of_class[metric]
  return metrics


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
