"""Times whole runs: how soon the first step is done, what a second worker adds.

  python tools/bench_runs.py --file_pattern='data/train-*.tfrecord'

ResNet-50 FPN at 256 x 256 pixels, batches of 4. The first figure is what one
waits for before anything moves, most of it graph building. The second is
images/s of two workers with a CPU core and a batch each, who speak over the
loopback device, as a share of twice those of one. Medians count.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from typing import List, Tuple

from absl import flags

from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_string('file_pattern', None, 'TFRecords to train on.')
flags.mark_flag_as_required('file_pattern')
flags.DEFINE_integer('size', 256, 'Sides of the images in pixels.', 128)
flags.DEFINE_integer('depth', 50, 'Depth of the ResNet.')
flags.DEFINE_integer('runs', 3, 'Runs of each, in turn.', 1)

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_BATCH = 4
# Progress is printed after the first step and ten steps later.
_STEPS = 11
_MOST_SECONDS, _LEAST_EFFICIENCY = 25, 0.8


def train(steps: int, *launcher: str, workers: int = 1) -> Tuple[float, str]:
  """Trains for some steps; returns the seconds and the last progress line."""
  overrides = (
    '{{retinanet_parser: {{output_size: [{0}, {0}]}}, '
    'resnet: {{resnet_depth: {1}}}, '
    'train: {{total_steps: {2}, train_file_pattern: "{3}"}}}}'.format(
      FLAGS.size, FLAGS.depth, _STEPS, os.path.abspath(FLAGS.file_pattern)
    )
  )
  with tempfile.TemporaryDirectory() as model_dir:
    command = [
      *launcher,
      sys.executable,
      'main.py',
      '--mode=train',
      '--model_dir=' + model_dir,
      '--train_batch_size={}'.format(workers * _BATCH),
      '--params_override=' + overrides,
    ]
    start = time.perf_counter()
    process = subprocess.Popen(
      command,
      cwd=_ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      universal_newlines=True,
    )
    lines: List[str] = []
    for line in process.stdout:
      lines.append(line)
      if 'step {}/'.format(steps) in line:
        seconds = time.perf_counter() - start
        process.terminate()
        process.communicate()
        return seconds, line
    process.wait()
  raise errors.UserError(
    'The run ended before step {}:\n{}'.format(steps, ''.join(lines[-10:]))
  )


def images_per_second(num_workers: int) -> float:
  """Speed of all steps but the first."""
  _, line = train(
    _STEPS,
    sys.executable,
    'tools/launch_local.py',
    '--num_workers={}'.format(num_workers),
    '--cores=1',
    '--',
    workers=num_workers,
  )
  return float(re.search(r'([\d.]+) images/s', line).group(1))


def main(argv):
  del argv
  waits: List[float] = []
  speeds = {1: [], 2: []}
  for _ in range(FLAGS.runs):
    waits.append(train(1)[0])
    for num_workers, of_runs in speeds.items():
      of_runs.append(images_per_second(num_workers))
  print(
    'start to end of first step: {:.1f} s (at most {}; runs: {})'.format(
      statistics.median(waits),
      _MOST_SECONDS,
      ', '.join('{:.1f}'.format(seconds) for seconds in waits),
    )
  )
  one, two = (statistics.median(of_runs) for of_runs in speeds.values())
  print(
    'one worker {:.2f} images/s, two workers {:.2f}: efficiency {:.2f} (at '
    'least {})'.format(one, two, two / (2 * one), _LEAST_EFFICIENCY)
  )


if __name__ == '__main__':
  program.run(main)
