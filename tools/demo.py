"""Trains a small detector on generated images and shows what it finds.

Writes a data set of shapes, trains the preset `retinanet_demo.yaml` with
`main.py`, which evaluates it on images that it was not trained on, and runs
`inference.py` over some of these. With --masks, the preset is
`mask_rcnn_small_cpu.yaml`. Everything goes into one folder:

  data/            TFRecords, COCO json, label map and images
  model/           checkpoints, TensorBoard summaries, eval/metrics.json
  pictures/        the images with what was detected
  page.html        the same to look through

A demo that was stopped goes on, if the flags are the same. Nothing that is
there is deleted.
"""

import os
import shlex
import signal
import subprocess
import sys
from typing import Dict, List, NamedTuple

from absl import flags

from utils import errors, files, program, signals

FLAGS = flags.FLAGS

flags.DEFINE_string(
  'output_dir', None, 'Folder to write to; default: demo_output[_masks].'
)
flags.DEFINE_integer('train_images', 600, 'Images to train on.', 1)
flags.DEFINE_integer('val_images', 100, 'Images to evaluate on.', 1)
flags.DEFINE_integer(
  'train_steps', None, "Training steps; default: the demo's.", 1
)
flags.DEFINE_bool('masks', False, 'Learn instance masks, too.')

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SEED = 1
_NUM_PICTURES = 12
# Says what a demo that has begun, or has ended, is of.
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
    'train.total_steps': '900',
    'train.seed': '1',
    # Fits any number of steps.
    'train.learning_rate.type': 'cosine',
  },
)


def _is_begun(folder: str) -> bool:
  """Whether a demo with these flags has data in the folder, and no end yet.

  If not, the folder is made.

  Raises:
    UserError: there is something else.
  """
  marker = os.path.join(folder, _MARKER)
  if not os.path.isdir(folder) or not os.listdir(folder):
    os.makedirs(folder, exist_ok=True)
    return False
  begun = files.read_text(marker) if os.path.exists(marker) else None
  if begun == _flags():
    return True
  raise errors.UserError(
    f"--output_dir: '{folder}' holds "
    + ('files that are not from a demo' if begun is None else begun)
    + '. Delete it, or give an empty or a new folder.'
  )


def _flags() -> str:
  """What data and training depend on."""
  return 'a demo of ' + ' '.join(
    f'--{name}={FLAGS[name].value}'
    for name in ('train_images', 'val_images', 'train_steps', 'masks')
  )


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
      {name: annotated},
      report,
      folder,
      num_shards=4,
      kind=detection_records.DetectionRecords(FLAGS.masks),
    )
    conversion.print_summary(written, report)


def _train_and_evaluate(data_dir: str, model_dir: str) -> None:
  network = _MASKS if FLAGS.masks else _BOXES
  overrides = {
    **network.overrides,
    'train.save_checkpoint_seconds': '60',
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
  program_run = subprocess.Popen([sys.executable, *command], cwd=_ROOT)

  def note(number: int) -> None:
    # Ctrl-C reaches both. It saves what it has, which may take a while.
    signals.be_patient(None)
    if number == signal.SIGTERM:
      program_run.terminate()

  with signals.noting(note):
    exit_code = program_run.wait()
  if exit_code:
    sys.exit(exit_code)


def main(argv: List[str]) -> None:
  del argv  # Unused.
  # The modules below import TensorFlow, which has to be quiet by then.
  program.quieten_tensorflow()
  output_dir = os.path.abspath(
    FLAGS.output_dir or 'demo_output' + '_masks' * FLAGS.masks
  )
  data_dir = os.path.join(output_dir, 'data')
  model_dir = os.path.join(output_dir, 'model')
  marker = os.path.join(output_dir, _MARKER)
  if _is_begun(output_dir):
    print(f'The demo in {output_dir} was stopped, and goes on.', flush=True)
  else:
    _write_data(data_dir)
    files.write_text(marker, _flags())
  _train_and_evaluate(data_dir, model_dir)
  page = _detect(data_dir, model_dir, output_dir)
  files.write_text(marker, _flags() + ', which has ended')
  print(f'Detections on images not trained on: {page}')


if __name__ == '__main__':
  program.run(main)
