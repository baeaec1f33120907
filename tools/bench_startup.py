"""Times `main.py --mode=train` from its start to the end of the first step.

  python tools/bench_startup.py --file_pattern='data/train-*.tfrecord'

ResNet-50 FPN at 256 x 256 pixels, batch 4: what a person waits for before
anything moves, most of it graph building.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import List

from absl import flags

from utils import errors, program

FLAGS = flags.FLAGS
flags.DEFINE_string('file_pattern', '', 'TFRecords to train on.')
flags.DEFINE_integer('runs', 3, 'Number of runs; the median counts.', 1)

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_FIRST_STEP = 'step 1/'
_MOST_SECONDS = 25


def seconds_to_first_step(file_pattern: str) -> float:
  """Starts one run, stops it after its first step, returns the seconds."""
  overrides = (
    '{{retinanet_parser: {{output_size: [256, 256]}}, train: {{'
    'train_file_pattern: "{}"}}}}'.format(file_pattern)
  )
  with tempfile.TemporaryDirectory() as model_dir:
    command = [
      sys.executable,
      'main.py',
      '--mode=train',
      '--model_dir=' + model_dir,
      '--train_batch_size=4',
      '--params_override=' + overrides,
    ]
    start = time.perf_counter()
    process = subprocess.Popen(
      command,
      cwd=_ROOT,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.PIPE,
      universal_newlines=True,
    )
    lines: List[str] = []
    for line in process.stderr:
      lines.append(line)
      if _FIRST_STEP in line:
        seconds = time.perf_counter() - start
        process.kill()
        process.wait()
        return seconds
    process.wait()
  raise errors.UserError(
    'The run ended before its first step:\n' + ''.join(lines[-10:])
  )


def main(argv):
  del argv
  runs = [
    seconds_to_first_step(os.path.abspath(FLAGS.file_pattern))
    for _ in range(FLAGS.runs)
  ]
  median = statistics.median(runs)
  print(
    'start to end of first step: {:.1f} s (at most {}; runs: {})'.format(
      median, _MOST_SECONDS, ', '.join('{:.1f}'.format(s) for s in runs)
    )
  )


if __name__ == '__main__':
  program.run(main)
