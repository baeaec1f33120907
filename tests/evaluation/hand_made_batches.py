"""Groundtruth of four images, and batches for them, in pixels."""

import json

import numpy as np

BIG = [0, 0, 100, 100]  # ymin, xmin, ymax, xmax: 'large'
MEDIUM = [200, 100, 240, 150]


def annotation(image_id, category_id, box, **more):
  ymin, xmin, ymax, xmax = box
  return dict(
    image_id=image_id,
    category_id=category_id,
    bbox=[xmin, ymin, xmax - xmin, ymax - ymin],
    **more,
  )


def write_annotations(path):
  """Images 7 and 12 with objects, 30 without, 41 with a crowd besides."""
  content = {
    'images': [
      {'id': image_id, 'height': 480, 'width': 640}
      for image_id in (7, 12, 30, 41)
    ],
    'categories': [{'id': 3, 'name': 'cat'}, {'id': 90, 'name': 'toothbrush'}],
    'annotations': [
      annotation(7, 3, BIG),
      annotation(7, 90, MEDIUM),
      annotation(12, 3, BIG),
      annotation(41, 3, MEDIUM),
      annotation(41, 3, [300, 300, 400, 400], iscrowd=1),
    ],
  }
  path.write_text(json.dumps(content))
  return str(path)


def predictions(images, num_rows=4, scale=(1.0, 1.0)):
  """Returns a batch of {image id: [(box, class, score), ...]}."""
  batch = {
    'source_id': np.array(list(images), np.int64),
    'num_detections': np.array([len(rows) for rows in images.values()]),
    'detection_boxes': np.zeros([len(images), num_rows, 4], np.float32),
    'detection_classes': np.zeros([len(images), num_rows], np.float32),
    'detection_scores': -np.ones([len(images), num_rows], np.float32),
    'image_info': np.array(
      [[[480, 640], [480, 640], scale, [0, 0]]] * len(images), np.float32
    ),
  }
  for image, rows in enumerate(images.values()):
    for row, (box, category_id, score) in enumerate(rows):
      batch['detection_boxes'][image, row] = box
      batch['detection_classes'][image, row] = category_id
      batch['detection_scores'][image, row] = score
  return batch


def perfect():
  return {
    7: [(BIG, 3, 0.9), (MEDIUM, 90, 0.8)],
    12: [(BIG, 3, 0.9)],
    30: [],
    41: [(MEDIUM, 3, 0.7)],
  }


def groundtruths(images, max_num_instances=3):
  """Returns a batch of {image id: [(box, class, is_crowd), ...]}."""
  batch = {
    'source_id': np.array(list(images), np.int64),
    'height': np.full([len(images)], 480, np.int64),
    'width': np.full([len(images)], 640, np.int64),
    'num_detections': np.array([[len(r)] for r in images.values()], np.int32),
    'boxes': -np.ones([len(images), max_num_instances, 4], np.float32),
    'classes': -np.ones([len(images), max_num_instances], np.int64),
    'areas': -np.ones([len(images), max_num_instances], np.float32),
    'is_crowds': np.zeros([len(images), max_num_instances], np.int32),
  }
  for image, rows in enumerate(images.values()):
    for row, (box, category_id, crowd) in enumerate(rows[:max_num_instances]):
      batch['boxes'][image, row] = box
      batch['classes'][image, row] = category_id
      batch['areas'][image, row] = (box[2] - box[0]) * (box[3] - box[1])
      batch['is_crowds'][image, row] = crowd
  return batch
