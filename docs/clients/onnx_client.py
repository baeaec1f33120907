"""Runs ONNX, float or int8, of --input_type=raw_image_tensor or image_bytes.

  python onnx_client.py EXPORT_DIR IMAGE

Needs NumPy, Pillow and onnxruntime.
"""

import json
import os
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


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


def load(export_dir):
  """Returns a function: uint8 [h, w, 3], RGB -> boxes, classes, scores.

  Boxes are [ymin, xmin, ymax, xmax] in pixels of the image.
  """
  with open(os.path.join(export_dir, 'assets.extra/contract.json')) as source:
    contract = json.load(source)
  files = [a['path'] for a in contract['artefacts'] if a['format'] == 'onnx']
  session = onnxruntime.InferenceSession(
    os.path.join(export_dir, files[0]), providers=['CPUExecutionProvider']
  )
  names = [output.name for output in session.get_outputs()]

  def detect(image):
    padded, scale = prepare(image, contract)
    outputs = session.run(None, {session.get_inputs()[0].name: padded})
    found = dict(zip(names, outputs))
    count = int(found['num_detections'][0])
    return (
      found['detection_boxes'][0, :count] / np.tile(scale, 2),
      found['detection_classes'][0, :count].astype(int),
      found['detection_scores'][0, :count],
    )

  return detect


if __name__ == '__main__':
  picture = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert('RGB')
  for box, class_id, score in zip(*load(sys.argv[1])(np.array(picture))):
    print(class_id, round(float(score), 3), box.round(1).tolist())
