"""Real trainings in one directory, one of which is killed."""

import json
import os
import signal
import subprocess
import time

import pytest

from modeling import checkpoint
from tests import programs, tiny_run


def _command(model_dir, records, mode, steps):
  changes = {'train': {'total_steps': steps, 'save_checkpoint_seconds': 0}}
  return [
    'main.py',
    f'--mode={mode}',
    f'--model_dir={model_dir}',
    '--params_override=' + json.dumps(tiny_run.overrides(records, changes)),
  ]


@pytest.mark.slow
def test_second_training_is_refused_and_a_killed_one_replaced(tmp_path):
  records = tiny_run.write_data(tmp_path)
  model_dir = tmp_path / 'model'
  endless = _command(model_dir, records, 'train', 100000)
  process = subprocess.Popen(
    [*programs.PYTHON, *endless],
    cwd=programs.ROOT,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  try:
    for line in process.stderr:
      if 'step 1/' in line:
        break
    holder = json.loads((model_dir / 'training.lock').read_text())
    # It leaves the processor to the others, and keeps the lock.
    os.kill(holder['pid'], signal.SIGSTOP)
    second = programs.run(*endless)
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith(
      f"Error: Another training runs in model_dir '{model_dir}' (process "
      '{pid} on {host}, since {since})'.format(**holder)
    )
    assert 'Traceback' not in second.stderr
    evaluator = programs.run(*_command(model_dir, records, 'eval', 1))
    assert evaluator.returncode == 0, evaluator.stderr
  finally:
    process.kill()
    process.wait()
  step = checkpoint.latest_step(str(model_dir))
  start = time.monotonic()
  third = programs.run(*_command(model_dir, records, 'train', step + 1))
  assert time.monotonic() - start < 60
  assert third.returncode == 0, third.stderr
  assert f'process {holder["pid"]} on' in third.stderr
  assert process.returncode == -signal.SIGKILL
  assert not (model_dir / 'training.lock').exists()
