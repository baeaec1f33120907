"""Masks of detections, from the model's output to metrics.

1,000 images with 100 detections and 100 objects each; sides of boxes are 16 to
400 pixels, small ones most often. The evaluator pastes, encodes and scores; the
floor to compare with pastes each detection into a whole image with OpenCV and
encodes that with pycocotools, in one thread, and scores nothing.
"""

import json
import os
import resource
import tempfile
import time
from typing import Any, Callable, Dict, List, Tuple

import cv2
import numpy as np
from pycocotools import mask as mask_lib

from evaluation import coco_evaluator
from tools.bench import turns
from utils import mask_utils

_ROUNDS, _SIZE = 50, 640
_BATCH, _MASKS, _CLASSES = 20, 100, 80
_SIDES = (16, 400)
_MOST_TIME, _MOST_MEMORY = 0.5, 2


def _shapes(random: np.random.RandomState) -> np.ndarray:
  """Discs with wavy edges, float32 [100, 28, 28] of probabilities."""
  y, x = np.mgrid[:28, :28] - 13.5
  angle, radius = np.arctan2(y, x), np.hypot(y, x)
  waves, phase = random.randint(2, 6, _MASKS), random.uniform(0, 6, _MASKS)
  edge = 12 + 2 * np.sin(np.multiply.outer(waves, angle) + phase[:, None, None])
  return (1 / (1 + np.exp(radius - edge))).astype(np.float32)


def _batch(number: int, size: int) -> Tuple[Dict[str, Any], Dict[str, Any]]:
  """Predictions and groundtruths near them, see `COCOEvaluator.update`."""
  random = np.random.RandomState(number)
  shape = [_BATCH, _MASKS]
  most = np.log(min(_SIDES[1], size))
  sides = np.exp(random.uniform(np.log(_SIDES[0]), most, [*shape, 2]))
  corners = random.uniform(0, size - sides)
  boxes = np.concatenate([corners, corners + sides], -1).astype(np.float32)
  classes = random.randint(1, _CLASSES + 1, shape)
  masks = _shapes(random)
  ids = number * _BATCH + np.arange(_BATCH)
  predictions = {
    'source_id': ids,
    'num_detections': np.full([_BATCH], _MASKS),
    'detection_boxes': boxes,
    'detection_classes': classes,
    'detection_scores': random.rand(*shape).astype(np.float32),
    'detection_masks': np.stack([masks] * _BATCH),
    'image_info': np.float32([[[size] * 2] * 2 + [[1, 1], [0, 0]]] * _BATCH),
  }
  boxes = boxes + random.normal(0, 4, boxes.shape)
  groundtruths = {
    'source_id': ids,
    'height': np.full([_BATCH], size),
    'width': np.full([_BATCH], size),
    'boxes': boxes,
    'classes': classes,
    'masks': [
      mask_utils.encode_windows(
        mask_utils.paste_windows(masks, _to_xywh(image), size, size), size, size
      )
      for image in boxes
    ],
  }
  return predictions, groundtruths


def _to_xywh(boxes: np.ndarray) -> np.ndarray:
  ymin, xmin, ymax, xmax = boxes.T
  return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1)


def _floor(predictions: Dict[str, Any], unused_groundtruths: Any) -> List[str]:
  """Run lengths of all detections, each by way of a whole image."""
  counts = []
  height, width = predictions['image_info'][0, 0].astype(int)
  threads = cv2.getNumThreads()
  cv2.setNumThreads(1)
  for boxes, masks in zip(
    predictions['detection_boxes'], predictions['detection_masks']
  ):
    padded = np.pad(masks, [(0, 0), (1, 1), (1, 1)], 'constant')
    for (x, y, w, h), mask in zip(_to_xywh(boxes), padded):
      x, y, w, h = x + w / 2, y + h / 2, w * 15 / 28, h * 15 / 28
      x0, y0, x1, y1 = np.int32([x - w, y - h, x + w, y + h])
      image = np.zeros([height, width], np.uint8)
      left, top = max(x0, 0), max(y0, 0)
      resized = cv2.resize(mask, (x1 - x0 + 1, y1 - y0 + 1)) > 0.5
      image[top : y1 + 1, left : x1 + 1] = resized[
        top - y0 : height - y0, left - x0 : width - x0
      ]
      encoded = mask_lib.encode(np.asfortranarray(image))
      counts.append(encoded['counts'].decode())
  cv2.setNumThreads(threads)
  return counts


def _over_batches(size: int, call: Callable[..., Any]) -> turns.Job:
  """A job that takes the time of a call for the next batch."""
  numbers = iter(range(10**9))

  def job() -> turns.Figures:
    batch = _batch(next(numbers), size)
    start = time.perf_counter()
    call(*batch)
    return {'seconds': time.perf_counter() - start}

  return job


def measure(options: Any) -> None:
  """Prints times an image, their ratio, and the peak memory."""
  size, rounds = options.size or _SIZE, options.rounds or _ROUNDS
  evaluator = coco_evaluator.COCOEvaluator(None, include_mask=True)
  expected: List[str] = []
  results = turns.measure(
    {
      'floor': _over_batches(size, lambda *b: expected.extend(_floor(*b))),
      'evaluator': _over_batches(size, evaluator.update),
    },
    rounds,
  )
  with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, 'predictions.json')
    evaluator.dump_predictions(path)
    with open(path) as source:
      found = [row['segmentation']['counts'] for row in json.load(source)]
  start = time.perf_counter()
  metrics = evaluator.evaluate()
  scoring = time.perf_counter() - start
  floor, pasting = (sum(results.values(name)) for name in results)
  num_images = rounds * _BATCH
  print(
    '{} images, {} masks each, {} x {} pixels; ms an image: floor {:.1f}, '
    'paste and encode {:.1f}, score {:.1f}; mask AP {:.3f}'.format(
      num_images,
      _MASKS,
      size,
      size,
      *(1e3 * seconds / num_images for seconds in (floor, pasting, scoring)),
      metrics['mask_AP'],
    )
  )
  print(
    'evaluator / floor {:.3f} (at most {}); run lengths {}; peak memory {:.2f} '
    'GB (at most {})'.format(
      (pasting + scoring) / floor,
      _MOST_TIME,
      'identical' if found == expected else 'DIFFERENT',
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
      _MOST_MEMORY,
    )
  )
