"""Average precision of detectors on a part of the evaluation's images."""

from typing import Any, Dict, List, Mapping

import numpy as np

from evaluation import coco_metrics, entries
from serving.export import sample_images
from serving.predictors import predictor as predictor_lib
from utils import errors

# They take minutes at 640 pixels.
MOST_IMAGES = 100
_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')


def measure(
  predictors: Mapping[str, predictor_lib.Predictor], file_pattern: str
) -> Dict[str, float]:
  """Returns the AP of boxes by name, on the first images of some records.

  Args:
    predictors: detectors by name.
    file_pattern: `eval.eval_file_pattern`.

  Returns:
    Nothing where there are no such records, or none with objects: a checkpoint
    is often exported far from its data.
  """
  images: List[Dict[str, int]] = []
  annotations: List[Dict[str, Any]] = []
  found: Dict[str, List[Dict[str, Any]]] = {name: [] for name in predictors}
  try:
    for image, features in sample_images.records(
      file_pattern, 'eval.eval_file_pattern'
    ):
      number, (height, width) = len(images), image.shape[:2]
      images.append({'id': number, 'height': height, 'width': width})
      annotations += _objects(features, number, height, width)
      for name, predictor in predictors.items():
        (detections,) = predictor.predict([image])
        found[name] += [
          dict(_box(box), image_id=number, category_id=class_id, score=score)
          for class_id, score, box in detections.rows()
        ]
      if len(images) == MOST_IMAGES:
        break
  except errors.DataError:
    return {}
  if not annotations:
    return {}
  class_ids = sorted({row['category_id'] for row in annotations})
  truth = {
    'images': images,
    'annotations': annotations,
    'categories': [{'id': class_id} for class_id in class_ids],
  }
  matched = {
    name: coco_metrics.match(
      truth, entries.from_coco(rows, images, 'bbox'), range(len(images))
    )
    for name, rows in found.items()
  }
  return {
    name: float(coco_metrics.coco_metrics(result)['AP'])
    for name, result in matched.items()
  }


def _objects(
  features: Any, image_id: int, height: int, width: int
) -> List[Dict[str, Any]]:
  """Annotations of a record in COCO's format."""
  shares = [
    features['image/object/bbox/' + side].float_list.value for side in _SIDES
  ]
  boxes = np.transpose(shares) * [height, width, height, width]
  classes = features['image/object/class/label'].int64_list.value
  crowds = features['image/object/is_crowd'].int64_list.value
  return [
    dict(
      _box(box), image_id=image_id, category_id=class_id, iscrowd=int(is_crowd)
    )
    for box, class_id, is_crowd in zip(
      boxes, classes, crowds or [0] * len(classes)
    )
  ]


def _box(box: Any) -> Dict[str, Any]:
  ymin, xmin, ymax, xmax = map(float, box)
  height, width = ymax - ymin, xmax - xmin
  return {'bbox': [xmin, ymin, width, height], 'area': height * width}
