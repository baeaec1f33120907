"""Detects objects in images, TFRecords and videos.

  python inference.py --checkpoint_path=MODEL_DIR --output_html=page.html DIR
  python inference.py --saved_model_dir=EXPORT_DIR --output_json=results.json \\
    'images/*.jpg'

Arguments are files, folders and patterns. At least one output is needed.
"""

import os

from absl import flags

from utils import errors, label_map, program

FLAGS = flags.FLAGS

flags.DEFINE_string('checkpoint_path', '', 'Checkpoint, or a model_dir.')
flags.DEFINE_string(
  'saved_model_dir', '', 'In place of a checkpoint: an export directory.'
)
flags.DEFINE_string(
  'format', '', 'Which format of the export: saved_model, onnx, tflite, ...'
)
flags.DEFINE_string('variant', '', 'Which variant of the format: float16, ...')
flags.DEFINE_string('model', None, "Model; by default the config's `type`.")
flags.DEFINE_string(
  'config_file', '', "Parameters; by default the checkpoint's params.yaml."
)
flags.DEFINE_string('params_override', '', 'As that of main.py.')
flags.DEFINE_string(
  'image_size',
  '',
  'Pixels that images are fitted into, as height,width or one number; by '
  "default the config's.",
)
flags.DEFINE_list(
  'image_file_pattern', [], 'Files, folders, patterns; like the arguments.'
)
flags.DEFINE_integer('batch_size', 8, 'Images at once.', 1)
flags.DEFINE_integer('max_pixels', 100_000_000, 'Larger images are refused.', 1)
flags.DEFINE_string(
  'label_map_file', '', "Class names; by default the config's or the export's."
)
flags.DEFINE_integer('max_boxes_to_draw', 100, 'Detections an image.', 1)
flags.DEFINE_float(
  'min_score_threshold',
  0.3,
  'Lowest score in pictures, video and CSV; the page starts with it.',
  0.0,
  1.0,
)
flags.DEFINE_string('output_json', '', "Detections in COCO's result format.")
flags.DEFINE_string(
  'annotation_file', '', 'COCO json that gives --output_json its image ids.'
)
flags.DEFINE_string('output_csv', '', 'Table of the detections.')
flags.DEFINE_string('output_dir', '', 'Folder for pictures with boxes.')
flags.DEFINE_string('output_video', '', 'Video with boxes, .mp4 or .avi.')
flags.DEFINE_string('output_html', '', 'Page with all images.')

_OUTPUTS = (
  'output_json',
  'output_csv',
  'output_dir',
  'output_video',
  'output_html',
)


def _image_size():
  if not FLAGS.image_size:
    return None
  try:
    sides = [int(side) for side in FLAGS.image_size.split(',')]
    if len(sides) > 2 or min(sides) < 1:
      raise ValueError
  except ValueError:
    raise errors.ConfigError(
      "--image_size={} has to be 'height,width' in pixels or one number for "
      'both.'.format(FLAGS.image_size)
    ) from None
  return sides[0], sides[-1]


def _load_predictor():
  from executor import predictors

  if bool(FLAGS.checkpoint_path) == bool(FLAGS.saved_model_dir):
    raise errors.ConfigError(
      'Give either --checkpoint_path or --saved_model_dir, one of them.'
    )
  if FLAGS.saved_model_dir:
    return predictors.load(
      FLAGS.saved_model_dir, FLAGS.format or None, FLAGS.variant
    )
  from configs import resolver
  from executor import checkpoint_config
  from modeling import checkpoint as checkpoint_lib

  checkpoint = checkpoint_lib.resolve_checkpoint(FLAGS.checkpoint_path)
  config_file = FLAGS.config_file or checkpoint_config.config_beside(
    checkpoint, FLAGS.model
  )
  resolved = resolver.resolve(
    model=FLAGS.model,
    config_file=config_file,
    params_override=FLAGS.params_override,
    flags={'use_tpu': False},
    mode='export',
  )
  return predictors.from_checkpoint(checkpoint, resolved.params, _image_size())


def main(argv):
  from executor.inference import outputs, runner, sources, writers

  writers.check_outputs({flag: FLAGS[flag].value for flag in _OUTPUTS})
  program.quieten_tensorflow()
  arguments = argv[1:] + FLAGS.image_file_pattern
  if not arguments:
    raise errors.ConfigError(
      'No image: name files, folders or patterns after the flags.'
    )
  files = sources.find_files(arguments)
  predictor = _load_predictor()
  names = predictor.label_map
  if FLAGS.label_map_file:
    names = label_map.read_label_map(FLAGS.label_map_file)
  runner.run(
    files,
    predictor,
    outputs.make_writers(
      {flag: FLAGS[flag].value for flag in _OUTPUTS},
      files,
      names,
      title=os.path.basename(
        os.path.normpath(FLAGS.checkpoint_path or FLAGS.saved_model_dir)
      ),
      annotation_file=FLAGS.annotation_file,
      max_boxes=FLAGS.max_boxes_to_draw,
      min_score=FLAGS.min_score_threshold,
    ),
    FLAGS.batch_size,
    FLAGS.max_pixels,
  )


def _explain(error):
  from executor import failures

  return failures.explain(error)


if __name__ == '__main__':
  program.run(main, _explain, takes_arguments=True)
