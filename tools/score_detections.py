"""Scores a file of detections against COCO annotations.

  python tools/score_detections.py --detections=results.json \\
    --annotation_file=instances.json

The file is in COCO's format for results, such as inference.py --output_json
and evaluations (predictions.json) write it. Every image of the annotations
counts, also one without detections. Masks (segmentation) are scored too, or
alone where there are no boxes.
"""

from typing import Any, Dict, List

from absl import flags

from utils import files, program

FLAGS = flags.FLAGS
flags.DEFINE_string('detections', None, "JSON in COCO's format for results.")
flags.DEFINE_string('annotation_file', None, 'COCO json with the groundtruth.')
flags.DEFINE_bool('per_category_metrics', False, 'Also print each class.')
flags.DEFINE_string('output', '', 'Also write the metrics, as JSON.')
flags.mark_flags_as_required(['detections', 'annotation_file'])


def score(
  detections: List[Dict[str, Any]],
  annotations: Dict[str, Any],
  per_category_metrics: bool = False,
) -> Dict[str, float]:
  """Returns metrics of boxes and, with `mask_` before, of masks by name."""
  from evaluation import batches, coco_metrics, entries

  batches.add_areas(detections)
  names = {
    entry['id']: str(entry.get('name', entry['id']))
    for entry in annotations['categories']
  }
  if len(set(names.values())) < len(names):
    names = {}  # Ids tell classes of the same name apart.
  metrics = {}
  images = annotations['images']
  for iou_type, prefix in (('bbox', ''), ('segm', 'mask_')):
    scored = entries.from_coco(detections, images, iou_type)
    if len(scored):
      image_ids = [image['id'] for image in images]
      result = coco_metrics.match(annotations, scored, image_ids, iou_type)
      found = coco_metrics.coco_metrics(result)
      if per_category_metrics:
        found.update(coco_metrics.category_metrics(result, names))
      metrics.update({prefix + k: float(v) for k, v in found.items()})
  return metrics


def main(argv):
  del argv
  program.quieten_tensorflow()
  from evaluation import detection_file, report

  detections, annotations = detection_file.load(
    FLAGS.detections, FLAGS.annotation_file
  )
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
