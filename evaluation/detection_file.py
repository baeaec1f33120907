"""Files of detections in COCO's format for results."""

import json
import math
from typing import Any, Dict, List, Set, Tuple

import numpy as np

from evaluation import annotation_file
from utils import errors, files, mask_utils


def load(
  path: str, annotation_path: str
) -> Tuple[List[Dict[str, Any]], Dict[str, Any]]:
  """Reads detections, and the annotations of their images.

  Args:
    path: of the detections.
    annotation_path: COCO json with the groundtruth.

  Returns:
    Detections, masks as compressed run lengths; and annotations as
    `annotation_file.load_annotations` gives them.

  Raises:
    UserError: a file cannot be read, or they do not fit.
  """
  detections = read_detections(path)
  has_masks = any('segmentation' in detection for detection in detections)
  annotations = annotation_file.load_annotations(
    annotation_path, require_masks=has_masks
  )
  check_known(detections, annotations)
  encode_masks(detections, annotations)
  return detections, annotations


def read_detections(path: str) -> List[Dict[str, Any]]:
  """Reads detections in COCO's format for results.

  Raises:
    DataError: the file is something else, or empty.
    ConfigError: it cannot be read.
  """
  detections = read_rows(path)
  for number, detection in enumerate(detections):
    try:
      is_detection = (
        isinstance(detection['image_id'], int)
        and isinstance(detection['category_id'], int)
        and ('segmentation' in detection or 'bbox' in detection)
        and _is_box(detection.get('bbox', 4 * [0]))
        and math.isfinite(detection['score'])
      )
    except (KeyError, TypeError, ValueError):
      is_detection = False
    if not is_detection:
      raise errors.DataError(
        f"'{path}', entry {number}: needed are the integers image_id and "
        'category_id, bbox [xmin, ymin, width, height] or segmentation, and '
        f'score, not {errors.shown(detection)}.'
      )
  return detections


def read_rows(path: str) -> List[Dict[str, Any]]:
  """Reads a file of predictions of any kind, and raises as `read_detections`.

  Of its rows it checks that there are some.
  """
  try:
    rows = json.loads(files.read_text(path))
  except json.JSONDecodeError as error:
    raise errors.DataError(
      f"'{path}' is not JSON: {error}. Is it cut off?"
    ) from error
  if not isinstance(rows, list) or not rows:
    raise errors.DataError(
      f"'{path}' has to hold a list of detections, not {errors.shown(rows)}."
    )
  return rows


def _is_box(bbox: Any) -> bool:
  return all(isinstance(edge, (int, float)) for edge in bbox) and np.isfinite(
    bbox
  ).tolist() == 4 * [True]


def check_known(
  detections: List[Dict[str, Any]], annotations: Dict[str, Any]
) -> None:
  """Raises DataError if images or classes are not in the annotations."""
  # Rows of evaluations that hold no detection have the score 0.
  found = [detection for detection in detections if detection['score'] > 0]
  for key, rows, entries in (
    ('image_id', detections, 'images'),
    ('category_id', found, 'categories'),
  ):
    known: Set[int] = {entry['id'] for entry in annotations[entries]}
    unknown = sorted({row[key] for row in rows} - known)
    if unknown:
      raise errors.DataError(
        f'{len(unknown)} values of {key} are not among the {entries} of the '
        f'annotations, such as {unknown[0]}. Give the annotations of the '
        'images that the detections are from.'
      )


def encode_masks(
  detections: List[Dict[str, Any]], annotations: Dict[str, Any]
) -> None:
  """Turns segmentations into compressed run lengths; DataError names one."""
  sizes = {e['id']: (e['height'], e['width']) for e in annotations['images']}
  for number, detection in enumerate(detections):
    if 'segmentation' in detection:
      mask, size = detection['segmentation'], sizes[detection['image_id']]
      if not annotation_file.is_segmentation(mask, *size):
        raise errors.DataError(
          f'Entry {number} of the detections: needed is a segmentation of '
          'polygons, or of run lengths with the size {} of the image, not '
          '{}.'.format(list(size), errors.shown(mask))
        )
      detection['segmentation'] = mask_utils.to_rle(mask, *size)
