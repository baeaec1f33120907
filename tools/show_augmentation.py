"""Draws what training sees: each image beside augmented samples of it.

  python tools/show_augmentation.py --config_file=FILE --output=sheet.png
  python tools/show_augmentation.py --file_pattern='data/train-*.tfrecord' \\
    --params_override=retinanet_parser.aug_policy=v0 --output=sheet.png

The samples have passed the whole augmentation of the config: policy, flip,
scale jitter, crop and copy-paste; --plain shows images as they are stored. They
are taken at random, the same ones each time with `train.seed`, and without
--file_pattern from `train.train_file_pattern`.
"""

import os
from typing import List

from absl import flags

from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_string('model', None, "Model; default: the config's `type`.")
flags.DEFINE_string('config_file', None, 'YAML or JSON file of parameters.')
flags.DEFINE_string(
  'params_override',
  None,
  'Parameters as YAML or JSON text, as a.b=1,c=2, or the path of a file.',
)
flags.DEFINE_string(
  'file_pattern', None, 'Glob, or comma-separated TFRecords and globs.'
)
flags.DEFINE_string(
  'data_dir',
  None,
  "Directory that the config's relative data paths start from.",
)
flags.DEFINE_string('output', None, 'PNG or JPEG file to write.')
flags.DEFINE_integer('num_images', 4, 'Images of the data set.', 1, 100)
flags.DEFINE_bool('plain', False, 'No samples: groundtruth as it is stored.')
flags.DEFINE_integer('num_samples', 4, 'Samples of each image.', 1, 50)
flags.DEFINE_integer('tile_size', 320, 'Longer side of a tile (pixels).', 32)
flags.DEFINE_string('label_map', None, "Class names, lines 'id:name'.")
flags.mark_flag_as_required('output')

_FORMATS = ('.png', '.jpg', '.jpeg')


def _check_output(path: str) -> None:
  if os.path.splitext(path)[1].lower() not in _FORMATS:
    raise errors.ConfigError(
      '--output={} must end in one of {}.'.format(path, ', '.join(_FORMATS))
    )
  directory = os.path.dirname(path) or '.'
  if not os.path.isdir(directory):
    raise errors.ConfigError(
      f"--output={path}: there is no directory '{directory}'."
    )


def main(argv: List[str]) -> None:
  del argv  # Unused.
  _check_output(FLAGS.output)
  # Imports TensorFlow, which is quiet only if logging is set up before.
  program.quieten_tensorflow()
  from configs import factory as config_factory
  from configs import resolver
  from dataloader import record_check, record_files
  from tools import augmentation_sheet
  from utils import label_map as label_map_lib

  params = resolver.resolve(
    model=FLAGS.model,
    config_file=FLAGS.config_file,
    params_override=FLAGS.params_override,
    flags={'data_dir': FLAGS.data_dir},
  ).params
  key, *second_keys = record_check.training_keys(params)
  pattern = FLAGS.file_pattern or params.lookup(key)
  key = '--file_pattern' if FLAGS.file_pattern else f'--file_pattern or {key}'
  record_check.check_contents(pattern, params, key)
  for second in second_keys:
    record_check.check_contents(params.lookup(second), params, second)
  path, label_map = FLAGS.label_map or params.eval.label_map_file, None
  # That of the config is often one that only evaluation needs.
  if path and (FLAGS.label_map or os.path.exists(path)):
    label_map = label_map_lib.read_label_map(path)
  rows = augmentation_sheet.sample_rows(
    record_files.find_files(pattern),
    params,
    FLAGS.num_images,
    0 if FLAGS.plain else FLAGS.num_samples,
  )
  sheet = augmentation_sheet.draw(rows, FLAGS.tile_size, label_map)
  sheet.save(FLAGS.output)
  policy = config_factory.parser_settings(params).get('aug_policy') or 'none'
  how = f'{FLAGS.num_samples} samples of each, aug_policy {policy}'
  if params.architecture.pre_parser:
    how += ', copy-paste'
  print(
    f'{FLAGS.output}: {len(rows)} images, {"as stored" if FLAGS.plain else how}'
  )


if __name__ == '__main__':
  program.run(main)
