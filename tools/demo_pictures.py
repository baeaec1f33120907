"""Draws detections from a predictions file on the images they belong to."""

import collections
import json
import math
import os
from typing import Any, Dict, List

import numpy as np
from PIL import Image

from utils import drawing

_MIN_SCORE = 0.4
_NUM_COLUMNS = 4
_ENLARGEMENT = 2  # small images leave no room for labels
_GAP = 8  # pixels between the pictures of the overview


def write_pictures(
  annotation_file: str,
  predictions_file: str,
  image_dir: str,
  names: Dict[int, str],
  output_dir: str,
  count: int,
) -> str:
  """Draws the detections of the first images of a set.

  Args:
    annotation_file: COCO json of the images.
    predictions_file: COCO detections, as evaluation writes them.
    image_dir: folder of the image files.
    names: class names by id.
    output_dir: receives pictures/ and detections.png.
    count: number of images.

  Returns:
    The path of the overview, which shows all pictures.
  """
  with open(annotation_file, encoding='utf-8') as source:
    records = json.load(source)['images'][:count]
  with open(predictions_file, encoding='utf-8') as source:
    detections = collections.defaultdict(list)
    for detection in json.load(source):
      if detection['score'] >= _MIN_SCORE:
        detections[detection['image_id']].append(detection)

  os.makedirs(os.path.join(output_dir, 'pictures'), exist_ok=True)
  pictures = []
  for record in records:
    image = Image.open(os.path.join(image_dir, record['file_name']))
    picture = draw_image(image, detections[record['id']], names)
    stem = os.path.splitext(record['file_name'])[0]
    picture.save(os.path.join(output_dir, 'pictures', stem + '.png'))
    pictures.append(picture)
  overview = os.path.join(output_dir, 'detections.png')
  make_grid(pictures, _NUM_COLUMNS).save(overview)
  return overview


def draw_image(
  image: Image.Image, detections: List[Dict[str, Any]], names: Dict[int, str]
) -> Image.Image:
  """Returns the image, enlarged, with its COCO detections drawn."""
  size = [side * _ENLARGEMENT for side in image.size]
  corners = [detection['bbox'] for detection in detections]
  xmin, ymin, width, height = np.reshape(corners, [-1, 4]).T * _ENLARGEMENT
  return drawing.draw_detections(
    image.resize(size, Image.BICUBIC),
    np.stack([ymin, xmin, ymin + height, xmin + width], axis=-1),
    np.array([detection['category_id'] for detection in detections]),
    np.array([detection['score'] for detection in detections]),
    names,
  )


def make_grid(pictures: List[Image.Image], num_columns: int) -> Image.Image:
  """Returns one picture that shows all, row by row, on white."""
  width = max(picture.width for picture in pictures)
  height = max(picture.height for picture in pictures)
  num_columns = min(num_columns, len(pictures))
  num_rows = math.ceil(len(pictures) / num_columns)
  grid = Image.new(
    'RGB',
    (
      num_columns * (width + _GAP) - _GAP,
      num_rows * (height + _GAP) - _GAP,
    ),
    'white',
  )
  for number, picture in enumerate(pictures):
    row, column = divmod(number, num_columns)
    grid.paste(picture, (column * (width + _GAP), row * (height + _GAP)))
  return grid
