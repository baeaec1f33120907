"""The metrics that the authors of COCO printed for detections of their own."""

import json
import os

import numpy as np
import pytest

from evaluation import coco_evaluator

_IMAGES_A_BATCH = 7


def _data(name):
  folder = os.environ.get('DETECTION_TEST_DATA', '../shared/data')
  path = os.path.join(folder, 'coco_val2014_100', name)
  if not os.path.exists(path):
    pytest.skip(f'{path} is absent; DETECTION_TEST_DATA names its folder')
  return path


def _load(name):
  with open(_data(name)) as source:
    return json.load(source)


def _prediction_batches(detections, image_ids, dtype):
  """Yields batches of images, with rows of score 0 up to a common number."""
  for start in range(0, len(image_ids), _IMAGES_A_BATCH):
    ids = image_ids[start : start + _IMAGES_A_BATCH]
    of_images = [
      sorted(
        (d for d in detections if d['image_id'] == image_id),
        key=lambda d: -d['score'],
      )
      for image_id in ids
    ]
    shape = [len(ids), max(len(rows) for rows in of_images) + 1]
    batch = {
      'source_id': np.array(ids, np.int64),
      'num_detections': np.array([len(rows) for rows in of_images]),
      'detection_boxes': np.zeros(shape + [4], dtype),
      'detection_classes': np.zeros(shape, np.int32),
      'detection_scores': np.zeros(shape, np.float32),
      'detection_masks': [[None] * shape[1] for _ in ids],
    }
    for image, rows in enumerate(of_images):
      for row, detection in enumerate(rows):
        xmin, ymin, width, height = detection.get('bbox', [0, 0, 0, 0])
        batch['detection_boxes'][image, row] = [
          ymin,
          xmin,
          ymin + height,
          xmin + width,
        ]
        batch['detection_classes'][image, row] = detection['category_id']
        batch['detection_scores'][image, row] = detection['score']
        batch['detection_masks'][image][row] = detection.get('segmentation')
    yield batch


@pytest.mark.parametrize('backend', ['faster_coco_eval', 'pycocotools'])
@pytest.mark.parametrize('kind', ['bbox', 'segm'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_published_metrics_come_out_to_all_printed_digits(kind, dtype, backend):
  published = _load('published_metrics.json')[kind]
  groundtruth = _load('instances_val2014_100.json')
  image_ids = [image['id'] for image in groundtruth['images']]
  evaluator = coco_evaluator.COCOEvaluator(
    _data('instances_val2014_100.json'),
    include_mask=kind == 'segm',
    need_rescale_bboxes=False,
    backend=backend,
    requires_all_images=True,
  )
  detections = _load(f'detections_{kind}.json')
  for batch in _prediction_batches(detections, image_ids, dtype):
    evaluator.update(batch)
  metrics = evaluator.evaluate()
  prefix = 'mask_' if kind == 'segm' else ''
  ours = {name: f'{metrics[prefix + name]:.3f}' for name in published}
  assert ours == {name: f'{v:.3f}' for name, v in published.items()}
  assert len(published) == 12
  assert {value.dtype for value in metrics.values()} == {np.dtype('float32')}
