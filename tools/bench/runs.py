"""Whole runs: how soon the first step is done, what a second worker adds.

ResNet-50 FPN at 256 x 256 pixels, batches of 4. The first figure is what one
waits for before anything moves, most of it graph building. The second is
images/s of two workers with a CPU core and a batch each, who speak over the
loopback device, as a share of twice those of one. Medians count.
"""

import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from typing import Any, List

from tools.bench import turns
from utils import errors

_ROUNDS, _SIZE, _BATCH = 3, 256, 4
# Progress is printed after the first step and ten steps later.
_STEPS = 11


def _train(
  options: Any, steps: int, *launcher: str, workers: int = 1
) -> turns.Figures:
  """Trains for some steps: seconds, and images/s of all but the first."""
  train = {
    'total_steps': _STEPS,
    'train_file_pattern': os.path.abspath(options.file_pattern),
  }
  overrides = turns.override(options.size or _SIZE, options.depth, train=train)
  with tempfile.TemporaryDirectory() as model_dir:
    command = [
      *launcher,
      sys.executable,
      'main.py',
      '--mode=train',
      '--model_dir=' + model_dir,
      f'--train_batch_size={workers * _BATCH}',
      '--params_override=' + json.dumps(overrides),
    ]
    start = time.perf_counter()
    process = subprocess.Popen(
      command,
      cwd=turns.ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      universal_newlines=True,
    )
    lines: List[str] = []
    for line in process.stdout:
      lines.append(line)
      if f'step {steps}/' in line:
        figures = {'seconds': time.perf_counter() - start}
        speed = re.search(r'([\d.]+) images/s', line)
        process.terminate()
        process.communicate()
        return {**figures, 'images/s': float(speed[1])} if speed else figures
    process.wait()
  raise errors.UserError(
    'The run ended before step {}:\n{}'.format(steps, ''.join(lines[-10:]))
  )


def _workers(options: Any, number: int) -> turns.Figures:
  launcher = [sys.executable, 'tools/launch_local.py', '--cores=1']
  launcher += [f'--num_workers={number}', '--']
  return _train(options, _STEPS, *launcher, workers=number)


def measure(options: Any) -> None:
  """Prints the wait for the first step, and the efficiency of two workers."""
  results = turns.measure(
    {
      'start': functools.partial(_train, options, 1),
      'one': functools.partial(_workers, options, 1),
      'two': functools.partial(_workers, options, 2),
    },
    options.rounds or _ROUNDS,
  )
  waits = (f'{seconds:.1f}' for seconds in results.values('start'))
  print(
    'start to end of first step: {:.1f} s (at most 25; runs: {})'.format(
      results.median('start'), ', '.join(waits)
    )
  )
  one, two = (results.median(name, 'images/s') for name in ('one', 'two'))
  print(
    f'one worker {one:.2f} images/s, two workers {two:.2f}: efficiency '
    f'{two / (2 * one):.2f} (at least 0.8)'
  )
