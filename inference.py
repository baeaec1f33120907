"""Detects objects in images, TFRecords and videos.

  python inference.py --checkpoint_path=MODEL_DIR --output_html=page.html DIR
  python inference.py --saved_model_dir=EXPORT_DIR --output_json=results.json \\
    'images/*.jpg'

Arguments are files, folders and patterns. At least one output is needed.
"""

import os

from absl import flags

from utils import errors, program

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
flags.DEFINE_integer(
  'batch_size',
  8,
  'Images read at once; an export of one batch size runs in that.',
  1,
)
flags.DEFINE_integer('max_pixels', 100_000_000, 'Larger images are refused.', 1)
flags.DEFINE_string(
  'label_map_file', '', "Class names; by default the config's or the export's."
)
flags.DEFINE_integer(
  'max_boxes_to_draw', 100, 'Detections an image, in pictures and video.', 1
)
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
flags.DEFINE_string('output_dir', '', 'Folder for pictures with boxes or maps.')
flags.DEFINE_string(
  'output_class_maps', '', 'Folder for PNGs of the class of each pixel.'
)
flags.DEFINE_string('output_video', '', 'Video with boxes, .mp4 or .avi.')
flags.DEFINE_string('output_html', '', 'Page with all images.')
flags.DEFINE_integer('max_images_on_page', 1000, 'Others are left out.', 1)

_OUTPUTS = (
  'output_json',
  'output_csv',
  'output_dir',
  'output_class_maps',
  'output_video',
  'output_html',
)


_DETECTOR = (
  'checkpoint_path',
  'saved_model_dir',
  'format',
  'variant',
  'model',
  'config_file',
  'params_override',
  'image_size',
)


def main(argv):
  arguments = argv[1:] + FLAGS.image_file_pattern
  if not arguments:
    raise errors.ConfigError(
      'No image: name files, folders or patterns after the flags, or as '
      '--image_file_pattern.'
    )
  # Takes seconds.
  program.quieten_tensorflow()
  from serving.inference import (
    image_ids,
    inference_run,
    loading,
    outputs,
    sources,
  )
  from utils import label_map

  files = sources.find_files(arguments)
  paths = {flag: FLAGS[flag].value for flag in _OUTPUTS}
  outputs.check(paths, files, FLAGS.annotation_file, FLAGS.label_map_file)
  if FLAGS.annotation_file and not FLAGS.output_json:
    raise errors.ConfigError(
      f'--annotation_file={FLAGS.annotation_file} has no effect without '
      '--output_json.'
    )
  ids = None
  if FLAGS.output_json:
    ids = image_ids.ImageIds(FLAGS.annotation_file)
  names = None
  if FLAGS.label_map_file:
    names = label_map.read_label_map(FLAGS.label_map_file)
  predictor = loading.load(**{flag: FLAGS[flag].value for flag in _DETECTOR})
  made = outputs.make_writers(
    paths,
    files,
    ids,
    names or predictor.label_map,
    title=os.path.basename(
      os.path.normpath(FLAGS.checkpoint_path or FLAGS.saved_model_dir)
    ),
    max_boxes=FLAGS.max_boxes_to_draw,
    min_score=FLAGS.min_score_threshold,
    max_images_on_page=FLAGS.max_images_on_page,
  )
  inference_run.run(
    files,
    predictor,
    made,
    ids,
    FLAGS.batch_size,
    FLAGS.max_pixels,
    min_score=FLAGS.min_score_threshold,
  )


def _explain(error):
  from executor import failures

  return failures.explain(error)


if __name__ == '__main__':
  program.run(main, _explain, takes_arguments=True)
