"""Exports a trained model: SavedModel, frozen graph, ONNX, TFLite.

  python export_saved_model.py --export_dir=DIR --checkpoint_path=MODEL_DIR

From Python: `export_saved_model.export(export_dir, checkpoint_path, ...)`.
"""

from typing import Any, Tuple

from absl import flags

from utils import errors, program

FLAGS = flags.FLAGS


def export(export_dir: str, checkpoint_path: str, *args: Any, **kwargs: Any):
  """Exports; see `serving.export.export.export` for the arguments."""
  # Imported here: TensorFlow reads its environment when it is imported.
  from serving.export import export as export_lib

  return export_lib.export(export_dir, checkpoint_path, *args, **kwargs)


def _define_flags():
  flags.DEFINE_string('export_dir', None, 'Directory to write.')
  flags.DEFINE_string(
    'checkpoint_path', None, 'Prefix of a checkpoint, or a directory with one.'
  )
  flags.DEFINE_string('model', None, "Model; by default the config's `type`.")
  flags.DEFINE_string(
    'config_file', '', "Parameters; by default the checkpoint's params.yaml."
  )
  flags.DEFINE_string(
    'params_override',
    '',
    'Parameters as YAML or JSON text, as a.b=1,c=2, or the path of a file.',
  )
  flags.DEFINE_bool('override_export_dir', False, 'Replace --export_dir.')
  flags.DEFINE_bool('use_tpu', False, 'Add a meta graph for TPUs.')
  flags.DEFINE_integer('batch_size', 1, 'Images at once; -1: any number.')
  flags.DEFINE_string(
    'input_type',
    'image_bytes',
    'image_bytes, image_tensor, raw_image_tensor or tf_example.',
  )
  flags.DEFINE_string(
    'input_name',
    None,
    "The images' signature key; by default input, or that of the model.",
  )
  flags.DEFINE_string(
    'input_image_size',
    None,
    "height,width in pixels; by default the parser's output_size.",
  )
  _define_output_flags()
  flags.DEFINE_list(
    'export_format',
    'saved_model',
    'Of saved_model, frozen_graph, onnx, tflite; separated by commas.',
  )
  flags.DEFINE_bool(
    'freeze', False, 'SavedModel: weights as constants in the graph.'
  )
  flags.DEFINE_bool(
    'check', True, 'Compare what was written with the checkpoint.'
  )
  flags.DEFINE_list(
    'tflite_types', 'float32', 'TFLite: of float32, float16 and int8.'
  )
  flags.DEFINE_list('onnx_types', 'float32', 'ONNX: of float32 and int8.')
  flags.DEFINE_string(
    'representative_file_pattern', '', 'int8: TFRecords to calibrate with.'
  )
  flags.DEFINE_integer('representative_images', 100, 'int8: how many of them.')
  flags.DEFINE_integer('onnx_opset', 13, 'ONNX: version of its operators.')


def _define_output_flags():
  flags.DEFINE_bool('output_image_info', True, 'Output image_info, too.')
  flags.DEFINE_bool(
    'output_normalized_coordinates',
    False,
    "Boxes as shares of the image's sides; else pixels of the resized image.",
  )
  flags.DEFINE_bool(
    'cast_num_detections_to_float', False, 'num_detections as float32.'
  )
  flags.DEFINE_bool(
    'cast_detection_classes_to_float', False, 'detection_classes as float32.'
  )


def _image_size(text: str) -> Tuple[int, int]:
  try:
    height, width = (int(side) for side in text.split(','))
  except ValueError:
    raise errors.ConfigError(
      f"--input_image_size={text} has to be 'height,width' in pixels, such as "
      '640,640.'
    ) from None
  return height, width


def main(argv):
  del argv
  for name in ('export_dir', 'checkpoint_path'):
    if not FLAGS[name].value:
      raise errors.ConfigError(f'--{name} is missing.')
  text = FLAGS.input_image_size
  image_size = None if text is None else _image_size(text)
  program.quieten_tensorflow()
  # All of this file; `export` takes them under their own names.
  given = {
    flag.name: flag.value for flag in FLAGS.get_flags_for_module(__name__)
  }
  del given['input_image_size']
  export(image_size=image_size, **given)


def _explain(error):
  from executor import failures

  return failures.explain(error)


if __name__ == '__main__':
  _define_flags()
  program.run(main, _explain)
