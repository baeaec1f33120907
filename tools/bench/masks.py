"""Masks of detections, from the model's output to metrics.

1,000 images with 100 detections and 100 objects each; sides of boxes are 16 to
400 pixels, small ones most often. The evaluator pastes, encodes and scores; the
floor to compare with pastes each detection into a whole image with OpenCV and
encodes that with pycocotools, in one thread, and scores nothing. Then the peak
memory of a process that reads training images of 1024 pixels, with 100 masks
each and without any.
"""

import io
import json
import os
import resource
import tempfile
import time
from typing import Any, Dict, List, Tuple

import cv2
import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image
from pycocotools import mask as mask_lib

from configs import resolver
from dataloader import image_reader, input_reader
from evaluation import coco_evaluator
from tools.bench import turns
from tools.record_sources import annotations, detection_records
from utils import mask_utils, mode_keys

_ROUNDS, _SIZE = 50, 640
_BATCH, _MASKS, _CLASSES = 20, 100, 80
_SIDES = (16, 400)
_MOST_TIME, _MOST_MEMORY = 0.5, 2
_TRAIN_SIZE, _TRAIN_IMAGES = 1024, 8


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


def _floor(predictions: Dict[str, Any]) -> List[str]:
  """Run lengths of all detections, each by way of a whole image."""
  counts = []
  height, width = predictions['image_info'][0, 0].astype(int)
  threads = cv2.getNumThreads()
  cv2.setNumThreads(1)
  for boxes, masks in zip(
    predictions['detection_boxes'], predictions['detection_masks']
  ):
    padded = np.pad(masks, [(0, 0), (1, 1), (1, 1)], 'constant')
    start, sides = np.split(_to_xywh(boxes), 2, axis=1)
    centre, half = start + sides * 0.5, sides * 0.5 * (30 / 28)
    corners = np.concatenate([centre - half, centre + half], axis=1)
    for (x0, y0, x1, y1), mask in zip(corners.astype(np.int32), padded):
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


def _write_record(path: str, has_masks: bool) -> None:
  size = _TRAIN_SIZE
  predictions, groundtruths = _batch(0, size)
  boxes = [
    annotations.Box(
      'object', xmin, ymin, xmax, ymax, float(mask_lib.area(rle)), False, rle
    )
    for (ymin, xmin, ymax, xmax), rle in zip(
      predictions['detection_boxes'][0].tolist(), groundtruths['masks'][0]
    )
  ]
  noise = np.random.RandomState(0).randint(0, 256, (size, size, 3), np.uint8)
  jpeg = io.BytesIO()
  Image.fromarray(noise).save(jpeg, 'JPEG')
  example, *_ = detection_records.make_entry(
    annotations.AnnotatedImage(1, 'noise.jpg', path, boxes),
    image_reader.Encoded(jpeg.getvalue(), 'JPEG', size, size),
    boxes,
    {'object': 1},
    has_masks,
  )
  with tf.io.TFRecordWriter(path) as writer:
    writer.write(example.SerializeToString())


def work(has_masks: bool) -> turns.Figures:
  """Reads training images; returns the peak memory of the process in MB."""
  params = resolver.resolve(
    params_override={
      'type': 'mask_rcnn',
      'architecture': {'include_mask': has_masks},
      'maskrcnn_parser': {'output_size': [_TRAIN_SIZE] * 2},
    },
    flags={'use_tpu': False},
  ).params
  with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, 'noise.tfrecord')
    _write_record(path, has_masks)
    with tf.Graph().as_default(), tf.Session() as session:
      dataset = input_reader.InputFn(path, params, mode_keys.TRAIN)(
        {'batch_size': 1}
      )
      iterator = tf.data.make_initializable_iterator(dataset)
      session.run(iterator.initializer)
      batch = iterator.get_next()
      for _ in range(_TRAIN_IMAGES):
        session.run(batch)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return {'peak MB': peak / 2**10}


def measure(options: Any) -> None:
  """Prints times an image, their ratio, and the peak memory."""
  size, rounds = options.size or _SIZE, options.rounds or _ROUNDS
  evaluator = coco_evaluator.COCOEvaluator(None, include_mask=True)
  expected: List[str] = []
  floor = pasting = 0.0
  for number in range(rounds):
    predictions, groundtruths = _batch(number, size)
    start = time.perf_counter()
    expected += _floor(predictions)
    middle = time.perf_counter()
    evaluator.update(predictions, groundtruths)
    floor += middle - start
    pasting += time.perf_counter() - middle
  with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, 'predictions.json')
    evaluator.dump_predictions(path)
    with open(path) as source:
      found = [row['segmentation']['counts'] for row in json.load(source)]
  start = time.perf_counter()
  metrics = evaluator.evaluate()
  scoring = time.perf_counter() - start
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
  with_masks, without = (
    turns.in_own_process('masks', has_masks)()['peak MB']
    for has_masks in (True, False)
  )
  print(
    f'training input, {_TRAIN_SIZE} pixels: peak memory {with_masks:.0f} MB '
    f'with {_MASKS} masks an image, {without:.0f} MB without'
  )
