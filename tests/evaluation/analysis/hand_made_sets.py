"""Small sets of objects and detections, in COCO's format."""

import numpy as np
from pycocotools import mask as mask_lib

from evaluation import batches, coco_metrics, entries
from evaluation.analysis import matching

# A box of 10 x 10 pixels, and its parts with an IoU of 0.6, 0.4 and 0.2.
WHOLE, MOST, LESS, LITTLE = ([0, 0, 10, h] for h in (10, 6, 4, 2))


def moved(box, x):
  """The box, further to the right."""
  return [box[0] + x, *box[1:]]


def groundtruth(*objects, num_images=1, num_classes=2):
  """Of rows (image, class, box) or (image, class, box, is_crowd)."""
  return {
    'images': [
      {'id': i + 1, 'height': 400, 'width': 400} for i in range(num_images)
    ],
    'categories': [
      {'id': i + 1, 'name': 'class ' + 'abcdefgh'[i]}
      for i in range(num_classes)
    ],
    'annotations': [
      {
        'image_id': image,
        'category_id': category,
        'bbox': list(box),
        'area': box[2] * box[3],
        'iscrowd': int(any(is_crowd)),
      }
      for image, category, box, *is_crowd in objects
    ],
  }


def detections(*rows):
  """Of rows (image, class, box, score)."""
  return [
    {'image_id': image, 'category_id': category, 'bbox': box, 'score': score}
    for image, category, box, score in rows
  ]


def match(truth, found, iou_type='bbox'):
  """The matches of a set."""
  batches.add_areas(found)
  return matching.match(
    truth,
    found,
    sorted(entry['id'] for entry in truth['images']),
    sorted(entry['id'] for entry in truth['categories']),
    iou_type,
  )


def coco_result(truth, found, iou_type='bbox'):
  """What COCO's own program makes of a set."""
  batches.add_areas(found)
  ids = [entry['id'] for entry in truth['images']]
  found = entries.from_coco(found, truth['images'], iou_type)
  return coco_metrics.match(truth, found, ids, iou_type)


def crowded(decimals, num_images=40):
  """A set with all that is odd.

  Crowds, areas at the limits of small and medium, equal overlaps, more than
  100 detections of a class, images and classes without objects or detections;
  with few decimals, equal scores.
  """
  random = np.random.RandomState(0)
  objects, rows = [], []
  for image in range(1, num_images + 1):
    boxes = random.randint(0, 12, [random.randint(0, 9), 4]) * 16
    boxes[:, 2:] = np.maximum(boxes[:, 2:] // random.choice([1, 2]), 16)
    classes = random.choice([1, 1, 2, 3], len(boxes))
    crowds = random.rand(len(boxes)) < 0.15
    objects += [
      (image, int(c), b.tolist(), bool(i))
      for c, b, i in zip(classes, boxes, crowds)
    ]
    count = random.choice([0, 5, 30, 230]) if len(boxes) else 3
    for _ in range(count):
      box = random.randint(0, 12, 4) * 16
      category = random.choice([1, 1, 1, 2, 4])
      if len(boxes) and random.rand() < 0.7:
        one = random.randint(len(boxes))
        box = boxes[one] + random.choice([0, 0, 4, 8], 4)
        category = random.choice([classes[one], category])
      box = np.maximum(box, [0, 0, 8, 8])
      score = round(0.005 + 0.99 * random.rand(), decimals)
      rows.append((image, int(category), box.tolist(), score))
  truth = groundtruth(*objects, num_images=num_images, num_classes=4)
  return truth, detections(*rows)


def with_masks(truth, found):
  """Adds what is left of each box without its right lower quarter."""
  for row in (*truth['annotations'], *found):
    x, y, w, h = (int(edge) for edge in row['bbox'])
    pixels = np.zeros([400, 400], np.uint8, 'F')
    pixels[y : y + h, x : x + w] = 1
    pixels[y + h // 2 : y + h, x + w // 2 : x + w] = 0
    row['segmentation'] = mask_lib.encode(pixels)
    row['area'] = float(mask_lib.area(row['segmentation']))
