"""Runs model.tflite, which gives raw boxes and scores, and suppresses.

  python tflite_client.py EXPORT_DIR IMAGE

Needs NumPy, Pillow and TensorFlow (or tflite_runtime).
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

# Of postprocess in assets.extra/params.yaml.
SCORE_THRESHOLD, IOU_THRESHOLD, MOST = 0.05, 0.5, 100


def resize(image, height, width):
  """Bilinear as in TensorFlow 1: no half-pixel centres, corners not aligned."""

  def neighbours(size, new_size):
    place = np.arange(new_size, dtype=np.float32)
    place *= np.float32(size) / np.float32(new_size)
    low = place.astype(int)
    return low, np.minimum(low + 1, size - 1), place - low

  top, bottom, y = neighbours(image.shape[0], height)
  left, right, x = neighbours(image.shape[1], width)
  y, x = y[:, None, None], x[:, None]
  image = image.astype(np.float32)
  upper = image[top][:, left] * (1 - x) + image[top][:, right] * x
  lower = image[bottom][:, left] * (1 - x) + image[bottom][:, right] * x
  return upper * (1 - y) + lower * y


def prepare(image, contract):
  """uint8 [h, w, 3] to the network's input, and the (y, x) scale of boxes."""
  size = np.float32(image.shape[:2])
  factor = np.min(np.float32(contract['image_size']) / size)
  # Half a pixel is rounded to the even side.
  height, width = np.maximum(np.rint(size * factor), 1).astype(int)
  pixels = resize(image, height, width) / 255
  pixels = (pixels - contract['mean_rgb']) / contract['stddev_rgb']
  padded = np.zeros([1, *contract['padded_size'], 3], np.float32)
  padded[0, :height, :width] = pixels
  return padded, np.float32([height, width]) / size


def iou(box, boxes):
  """Overlap of one box with others."""
  low, high = (
    np.maximum(box[:2], boxes[:, :2]),
    np.minimum(box[2:], boxes[:, 2:]),
  )
  shared = np.prod(np.maximum(high - low, 0), axis=1)
  areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  return shared / np.maximum(areas + np.prod(box[2:] - box[:2]) - shared, 1e-9)


def suppress(boxes, scores):
  """boxes [n, 4], scores [n, classes] -> rows and columns of the best."""
  kept = []
  # What lay beside the image has no area once it is clipped.
  has_area = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
  for column in range(scores.shape[1]):
    rows = np.flatnonzero(has_area & (scores[:, column] > SCORE_THRESHOLD))
    rows = rows[np.argsort(-scores[rows, column], kind='stable')]
    while len(rows):
      kept.append((rows[0], column))
      rows = rows[1:][iou(boxes[rows[0]], boxes[rows[1:]]) <= IOU_THRESHOLD]
  kept.sort(key=lambda place: -scores[place])
  return np.array(kept[:MOST], int).reshape(-1, 2).T


def load(export_dir):
  """Returns a function: uint8 [h, w, 3], RGB -> boxes, classes, scores.

  Boxes are [ymin, xmin, ymax, xmax] in pixels of the image.
  """
  with open(os.path.join(export_dir, 'assets.extra/contract.json')) as source:
    contract = json.load(source)
  model = tf.lite.Interpreter(os.path.join(export_dir, 'model.tflite'))
  model.allocate_tensors()
  (of_input,) = model.get_input_details()
  of_outputs = model.get_output_details()
  (artefact,) = [
    a for a in contract['artefacts'] if a['path'] == 'model.tflite'
  ]
  keys = [output['key'] for output in artefact['outputs']]

  def detect(image):
    padded, scale = prepare(image, contract)
    model.set_tensor(of_input['index'], padded)
    model.invoke()
    found = {
      key: model.get_tensor(output['index'])[0]
      for key, output in zip(keys, of_outputs)
    }
    boxes = found['raw_boxes'][:, 0]
    rows, columns = suppress(boxes, found['raw_scores'])
    return (
      boxes[rows] / np.tile(scale, 2),
      columns + 1,  # 0 is background
      found['raw_scores'][rows, columns],
    )

  return detect


if __name__ == '__main__':
  picture = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert('RGB')
  for box, class_id, score in zip(*load(sys.argv[1])(np.array(picture))):
    print(class_id, round(float(score), 3), box.round(1).tolist())
