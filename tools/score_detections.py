"""Scores a file of detections against COCO annotations.

  python tools/score_detections.py --detections=results.json \\
    --annotation_file=instances.json

The file is in COCO's format for results, such as inference.py --output_json
and evaluations (predictions.json) write it. Every image of the annotations
counts, also one without detections.
"""

import json
import math
from typing import Any, Dict, List, Set

import numpy as np
from absl import flags

from utils import errors, files, program

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
        and all(isinstance(edge, (int, float)) for edge in detection['bbox'])
        and np.isfinite(detection['bbox']).tolist() == 4 * [True]
        and math.isfinite(detection['score'])
      )
    except (KeyError, TypeError, ValueError):
      is_detection = False
    if not is_detection:
      raise errors.DataError(
        f"'{path}', entry {number}: needed are the integers image_id and "
        'category_id, bbox [xmin, ymin, width, height] and score, not '
        f'{errors.shown(detection)}.'
      )
  return detections


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


def main(argv):
  del argv
  program.quieten_tensorflow()
  from evaluation import annotation_file, batches, coco_metrics, report

  detections = read_detections(FLAGS.detections)
  annotations = annotation_file.load_annotations(FLAGS.annotation_file)
  check_known(detections, annotations)
  batches.add_areas(detections)
  image_ids = [image['id'] for image in annotations['images']]
  result = coco_metrics.match(annotations, detections, image_ids)
  metrics = dict(coco_metrics.coco_metrics(result))
  if FLAGS.per_category_metrics:
    names = {
      entry['id']: str(entry.get('name', entry['id']))
      for entry in annotations['categories']
    }
    if len(set(names.values())) < len(names):
      names = {}  # Ids tell classes of the same name apart.
    metrics.update(coco_metrics.category_metrics(result, names))
  metrics = {name: float(value) for name, value in metrics.items()}
  report.print_metrics(metrics, step=None, checkpoint_path=FLAGS.detections)
  print(
    '{:,} detections in {:,} of {:,} images.'.format(
      len(detections),
      len({detection['image_id'] for detection in detections}),
      len(image_ids),
    )
  )
  if FLAGS.output:
    files.write_json(FLAGS.output, metrics, indent=2)


if __name__ == '__main__':
  program.run(main)
