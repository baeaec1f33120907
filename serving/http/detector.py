"""Detections of one picture, for the page."""

from typing import Any, Dict

import numpy as np

from serving.predictors import predictor
from utils import drawing


def to_json(
  image: np.ndarray,
  detections: predictor.ImageDetections,
  label_map: Dict[int, str],
) -> Dict[str, Any]:
  """What the page draws.

  Args:
    image: uint8 [height, width, 3].
    detections: of it; clipped to it here.
    label_map: class names by id; a class without one goes by its id.

  Returns:
    `width` and `height` of the image and `detections`, best first, each with
    `box` ([ymin, xmin, ymax, xmax], pixels, to two decimals; [] if the class is
    that of the whole image), `class`, `name`,
    `score` (to four) and `color` (of CSS).
  """
  height, width = image.shape[:2]
  rows = detections.clipped_to(height, width).rows()
  return {
    'width': width,
    'height': height,
    'detections': [
      {
        'box': [round(edge, 2) for edge in box],
        'class': class_id,
        'name': label_map.get(class_id, str(class_id)),
        'score': round(score, 4),
        'color': 'rgb({},{},{})'.format(*drawing.class_color(class_id)),
      }
      for class_id, score, box in rows
    ],
  }
