"""Measures what a second worker brings.

  python tools/bench_scaling.py --file_pattern='data/train-*.tfrecord'

ResNet-50 FPN at 256 x 256 pixels, the same batch for each worker, each worker
on one CPU core: images/s of two workers as a share of twice those of one. The
two speak over the loopback device. Runs alternate; medians count.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile

from absl import flags

from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_string('file_pattern', '', 'TFRecords to train on.')
flags.DEFINE_integer('size', 256, 'Sides of the images in pixels.', 128)
flags.DEFINE_integer('depth', 50, 'Depth of the ResNet.')
flags.DEFINE_integer('worker_batch', 4, 'Images of a worker.', 1)
flags.DEFINE_integer('runs', 3, 'Runs of one and of two workers, in turn.', 1)

_TOOLS = os.path.dirname(os.path.abspath(__file__))
# Progress is printed after the first step and ten steps later.
_STEPS = 11
_LEAST = 0.8


def images_per_second(num_workers: int, file_pattern: str) -> float:
  """Trains for some steps; returns the speed of all but the first."""
  overrides = (
    '{{retinanet_parser: {{output_size: [{0}, {0}]}}, '
    'resnet: {{resnet_depth: {1}}}, '
    'train: {{total_steps: {2}, train_file_pattern: "{3}"}}}}'.format(
      FLAGS.size, FLAGS.depth, _STEPS, file_pattern
    )
  )
  with tempfile.TemporaryDirectory() as model_dir:
    run = subprocess.run(
      [
        sys.executable,
        os.path.join(_TOOLS, 'launch_local.py'),
        '--num_workers={}'.format(num_workers),
        '--cores=1',
        '--',
        sys.executable,
        os.path.join(os.path.dirname(_TOOLS), 'main.py'),
        '--mode=train',
        '--model_dir=' + model_dir,
        '--train_batch_size={}'.format(num_workers * FLAGS.worker_batch),
        '--params_override=' + overrides,
      ],
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      universal_newlines=True,
    )
  found = re.search(
    r'step {0}/{0} .* ([\d.]+) images/s'.format(_STEPS), run.stdout
  )
  if run.returncode or not found:
    raise errors.UserError(
      'Training with {} workers failed:\n{}'.format(
        num_workers, '\n'.join(run.stdout.splitlines()[-10:])
      )
    )
  return float(found.group(1))


def main(argv):
  del argv
  if not FLAGS.file_pattern:
    raise errors.ConfigError(
      'No data: give --file_pattern, a glob of TFRecords to train on.'
    )
  pattern = os.path.abspath(FLAGS.file_pattern)
  speeds = {1: [], 2: []}
  for _ in range(FLAGS.runs):
    for num_workers, of_runs in speeds.items():
      of_runs.append(images_per_second(num_workers, pattern))
  one, two = (statistics.median(of_runs) for of_runs in speeds.values())
  print(
    'one worker {:.2f} images/s, two workers {:.2f}: efficiency {:.2f} (at '
    'least {})'.format(one, two, two / (2 * one), _LEAST)
  )


if __name__ == '__main__':
  program.run(main)
