"""Scores a file of detections against COCO annotations.

  python tools/score_detections.py --detections=results.json \\
    --annotation_file=instances.json

The file is in COCO's format for results, such as inference.py --output_json
and evaluations (predictions.json) write it. Every image of the annotations
counts, also one without detections. Masks (segmentation) are scored too, or
alone where there are no boxes.
"""

import json
import math
from typing import Any, Dict, List, Set

import numpy as np
from absl import flags

from utils import errors, files, mask_utils, program

FLAGS = flags.FLAGS
flags.DEFINE_string('detections', None, "JSON in COCO's format for results.")
flags.DEFINE_string('annotation_file', None, 'COCO json with the groundtruth.')
flags.DEFINE_bool('per_category_metrics', False, 'Also print each class.')
flags.DEFINE_string('output', '', 'Also write the metrics, as JSON.')
flags.mark_flags_as_required(['detections', 'annotation_file'])


def read_detections(path: str) -> List[Dict[str, Any]]:
  """Reads detections in COCO's format for results.

  Raises:
    DataError: the file is something else, or empty.
    ConfigError: it cannot be read.
  """
  try:
    detections = json.loads(files.read_text(path))
  except json.JSONDecodeError as error:
    raise errors.DataError(
      f"'{path}' is not JSON: {error}. Is it cut off?"
    ) from error
  if not isinstance(detections, list) or not detections:
    raise errors.DataError(
      f"'{path}' has to hold a list of detections, not "
      f'{errors.shown(detections)}.'
    )
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
  from evaluation import annotation_file

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


def score(
  detections: List[Dict[str, Any]],
  annotations: Dict[str, Any],
  per_category_metrics: bool = False,
) -> Dict[str, float]:
  """Returns metrics of boxes and, with `mask_` before, of masks by name."""
  from evaluation import batches, coco_metrics

  batches.add_areas(detections)
  names = {
    entry['id']: str(entry.get('name', entry['id']))
    for entry in annotations['categories']
  }
  if len(set(names.values())) < len(names):
    names = {}  # Ids tell classes of the same name apart.
  metrics = {}
  for key, iou_type, prefix in (
    ('bbox', 'bbox', ''),
    ('segmentation', 'segm', 'mask_'),
  ):
    scored = [detection for detection in detections if key in detection]
    if scored:
      image_ids = [image['id'] for image in annotations['images']]
      result = coco_metrics.match(annotations, scored, image_ids, iou_type)
      found = coco_metrics.coco_metrics(result)
      if per_category_metrics:
        found.update(coco_metrics.category_metrics(result, names))
      metrics.update({prefix + k: float(v) for k, v in found.items()})
  return metrics


def main(argv):
  del argv
  program.quieten_tensorflow()
  from evaluation import annotation_file, report

  detections = read_detections(FLAGS.detections)
  has_masks = any('segmentation' in detection for detection in detections)
  annotations = annotation_file.load_annotations(
    FLAGS.annotation_file, require_masks=has_masks
  )
  check_known(detections, annotations)
  encode_masks(detections, annotations)
  metrics = score(detections, annotations, FLAGS.per_category_metrics)
  report.print_metrics(metrics, step=None, checkpoint_path=FLAGS.detections)
  print(
    '{:,} detections in {:,} of {:,} images.'.format(
      len(detections),
      len({detection['image_id'] for detection in detections}),
      len(annotations['images']),
    )
  )
  if FLAGS.output:
    files.write_json(FLAGS.output, metrics, indent=2)


if __name__ == '__main__':
  program.run(main)
