"""Trains a small detector on generated images and shows what it finds.

Writes a data set of shapes, trains the preset `retinanet_demo.yaml` with
`main.py`, which evaluates it on images that it was not trained on, and runs
`inference.py` over some of these. With --masks, the preset is
`mask_rcnn_small_cpu.yaml`. Everything goes into one folder:

  data/            TFRecords, COCO json, label map and images
  model/           checkpoints, TensorBoard summaries, eval/metrics.json
  pictures/        the images with what was detected
  page.html        the same to look through
"""

import os
import shlex
import shutil
import subprocess
import sys
from typing import Dict, List, NamedTuple

from absl import flags

from utils import errors, program

FLAGS = flags.FLAGS

flags.DEFINE_string('output_dir', 'demo_output', 'Folder to write to.')
flags.DEFINE_integer('train_images', 600, 'Images to train on.', 1)
flags.DEFINE_integer('val_images', 100, 'Images to evaluate on.', 1)
flags.DEFINE_integer(
  'train_steps', None, "Training steps; default: the demo's.", 1
)
flags.DEFINE_bool('masks', False, 'Learn instance masks, too.')

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SEED = 1
_NUM_PICTURES = 12
# Only tells our own folder, which may be emptied, from somebody's files.
_MARKER = '.demo'


class _Network(NamedTuple):
  """What is trained: a preset of `configs/yaml`, and changes to it."""

  preset: str
  overrides: Dict[str, str]


_BOXES = _Network('retinanet_demo.yaml', {})
_MASKS = _Network(
  'mask_rcnn_small_cpu.yaml',
  {
    'architecture.num_classes': '6',
    'maskrcnn_parser.output_size': '[160, 160]',
    'train.total_steps': '600',
    'train.seed': '1',
    # Fits any number of steps.
    'train.learning_rate.type': 'cosine',
  },
)


def _prepare_folder(folder: str) -> None:
  """Makes the folder, empty; what an earlier demo left there goes."""
  marker = os.path.join(folder, _MARKER)
  if os.path.isdir(folder) and os.listdir(folder):
    if not os.path.exists(marker):
      raise errors.UserError(
        f'--output_dir={folder} holds files that are not from the demo. Give '
        'an empty or a new folder.'
      )
    shutil.rmtree(folder)
  os.makedirs(folder, exist_ok=True)
  with open(marker, 'w'):
    pass


def _write_data(folder: str) -> None:
  from tools import demo_data
  from tools.record_sources import conversion, detection_records
  from tools.record_sources import report as report_lib

  first = 0
  for name, count in (('train', FLAGS.train_images), ('val', FLAGS.val_images)):
    annotated = demo_data.write_images(
      os.path.join(folder, name + '_images'), _SEED, first, count
    )
    first += count
    report = report_lib.Report()
    written = conversion.convert(
      annotated,
      report,
      folder,
      name,
      num_shards=4,
      kind=detection_records.DetectionRecords(FLAGS.masks),
    )
    conversion.print_summary(written, report)


def _train_and_evaluate(data_dir: str, model_dir: str) -> None:
  network = _MASKS if FLAGS.masks else _BOXES
  overrides = {
    **network.overrides,
    'train.train_file_pattern': 'train-*.tfrecord',
    'eval.eval_file_pattern': 'val-*.tfrecord',
    'eval.val_json_file': 'val.json',
    'eval.label_map_file': 'label_map.txt',
  }
  steps = FLAGS.train_steps
  _run(
    'main.py',
    '--mode=train',
    '--eval_after_training',
    '--model_dir=' + model_dir,
    '--data_dir=' + data_dir,
    '--config_file=' + os.path.join('configs', 'yaml', network.preset),
    '--params_override=' + ','.join(map('='.join, overrides.items())),
    *([f'--train_steps={steps}'] if steps else []),
  )


def _detect(data_dir: str, model_dir: str, output_dir: str) -> str:
  """Returns the path of the page."""
  image_dir = os.path.join(data_dir, 'val_images')
  names = sorted(os.listdir(image_dir))[:_NUM_PICTURES]
  page = os.path.join(output_dir, 'page.html')
  _run(
    'inference.py',
    '--checkpoint_path=' + model_dir,
    '--output_dir=' + os.path.join(output_dir, 'pictures'),
    '--output_html=' + page,
    *(os.path.join(image_dir, name) for name in names),
  )
  return page


def _run(*command: str) -> None:
  """Shows a command of the project and runs it; ends with it if it fails."""
  print('$ python ' + ' '.join(map(shlex.quote, command)), flush=True)
  done = subprocess.run([sys.executable, *command], cwd=_ROOT)
  if done.returncode:
    sys.exit(done.returncode)


def main(argv: List[str]) -> None:
  del argv  # Unused.
  # The modules below import TensorFlow, which has to be quiet by then.
  program.quieten_tensorflow()
  output_dir = os.path.abspath(FLAGS.output_dir)
  data_dir = os.path.join(output_dir, 'data')
  model_dir = os.path.join(output_dir, 'model')
  _prepare_folder(output_dir)
  _write_data(data_dir)
  _train_and_evaluate(data_dir, model_dir)
  page = _detect(data_dir, model_dir, output_dir)
  print(f'Detections on images not trained on: {page}')


if __name__ == '__main__':
  program.run(main)
