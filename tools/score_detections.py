"""Scores a file of detections against COCO annotations.

  python tools/score_detections.py --detections=results.json \\
    --annotation_file=instances.json

The file is in COCO's format for results, such as inference.py --output_json
and evaluations (predictions.json) write it. Every image of the annotations
counts, also one without detections.
"""

from typing import Any, Dict, List

from absl import flags

from utils import errors, files, program

FLAGS = flags.FLAGS
flags.DEFINE_string('detections', None, "JSON in COCO's format for results.")
flags.DEFINE_string('annotation_file', None, 'COCO json with the groundtruth.')
flags.DEFINE_bool('per_category_metrics', False, 'Also print each class.')
flags.DEFINE_string('output', '', 'Also write the metrics, as JSON.')
flags.mark_flags_as_required(['detections', 'annotation_file'])


def _read_detections(path: str, known_ids: Any) -> List[Dict[str, Any]]:
  import json

  try:
    detections = json.loads(files.read_text(path))
  except ValueError as error:
    raise errors.DataError(
      "'{}' is not JSON: {}.".format(path, error)
    ) from error
  if not isinstance(detections, list):
    raise errors.DataError(
      "'{}' has to hold a list of detections, not a {}.".format(
        path, type(detections).__name__
      )
    )
  for number, detection in enumerate(detections):
    if not isinstance(detection, dict) or not {
      'image_id',
      'category_id',
      'bbox',
      'score',
    } <= set(detection):
      raise errors.DataError(
        "'{}', detection {}: image_id, category_id, bbox and score are "
        'needed.'.format(path, number)
      )
  unknown = sorted({d['image_id'] for d in detections} - set(known_ids))
  if unknown:
    raise errors.DataError(
      "'{}' has detections in {} images that '{}' does not list, such as "
      'image_id {}.'.format(
        path, len(unknown), FLAGS.annotation_file, unknown[0]
      )
    )
  return detections


def main(argv):
  del argv
  program.quieten_tensorflow()
  from evaluation import annotation_file, batches, coco_metrics, report

  annotations = annotation_file.load_annotations(FLAGS.annotation_file)
  image_ids = [image['id'] for image in annotations['images']]
  detections = _read_detections(FLAGS.detections, image_ids)
  batches.add_areas(detections)
  result = coco_metrics.match(annotations, detections, image_ids)
  metrics = dict(coco_metrics.coco_metrics(result))
  if FLAGS.per_category_metrics:
    names = {c['id']: c['name'] for c in annotations['categories']}
    metrics.update(coco_metrics.category_metrics(result, names))
  metrics = {name: float(value) for name, value in metrics.items()}
  report.print_metrics(metrics, step=None, checkpoint_path=FLAGS.detections)
  if FLAGS.output:
    files.write_json(FLAGS.output, metrics, indent=2)


if __name__ == '__main__':
  program.run(main)
