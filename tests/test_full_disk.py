"""Trainings on a disk that is full, or may hold no larger file."""

import json
import os
import subprocess

import pytest

from configs import resolver
from modeling import checkpoint
from tests import programs, small_disk, tiny_run

_LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
runpy.run_path('main.py', run_name='__main__')
"""


def _arguments(model_dir, records, steps):
  changes = {
    'train': {
      'total_steps': steps,
      'save_checkpoint_seconds': 0,
      'keep_checkpoints': 0,
    },
    'eval': {'num_steps_per_eval': 2, 'best_metric': '-model_loss'},
  }
  return (
    '--mode=train_and_eval',
    f'--model_dir={model_dir}',
    '--params_override=' + json.dumps(tiny_run.overrides(records, changes)),
  )


def _check_whole(model_dir):
  """Everything that a run has left can be used; returns the steps saved."""
  prefixes = checkpoint.find_all(str(model_dir))
  for prefix in prefixes + checkpoint.find_all(str(model_dir / 'best')):
    assert checkpoint.damage_of(prefix) is None
  names = {name for _, _, names in os.walk(str(model_dir)) for name in names}
  assert not [n for n in names if '_temp_' in n or 'tmp' in n or n[0] == '.']
  assert 'training.lock' not in names
  events = (model_dir / 'history.jsonl').read_text().splitlines()
  assert [json.loads(event)['event'] for event in events][0] == 'start'
  resolver.resolve(config_file=str(model_dir / 'params.yaml'))
  return [checkpoint.step_of(prefix) for prefix in prefixes]


@pytest.mark.slow
def test_full_disk_leaves_all_that_was_whole(tmp_path):
  disk = tmp_path / 'disk'
  disk.mkdir()
  records = tiny_run.write_data(tmp_path)
  with small_disk.mounted(disk, 250 * 2**20):
    model_dir = disk / 'model'
    arguments = _arguments(model_dir, records, 1000)
    process = programs.run('main.py', *arguments)
    assert process.returncode == 1
    message = process.stderr.splitlines()[-1]
    assert message.startswith('Error: The disk is full')
    assert 'Traceback' not in process.stderr
    steps = _check_whole(model_dir)
    assert steps == list(range(len(steps))) and len(steps) > 2
    assert (model_dir / 'best' / 'best.json').exists()
    # With room it goes on.
    remount = ['mount', '-o', f'remount,size={2**30}', str(disk)]
    subprocess.run(remount, check=True)
    last = steps[-1] + 2
    process = programs.run('main.py', *_arguments(model_dir, records, last))
    assert process.returncode == 0, process.stderr
    assert (
      f'continues from step {steps[-1]}.' in process.stdout + process.stderr
    )
    assert _check_whole(model_dir) == list(range(last + 1))


@pytest.mark.slow
def test_file_that_may_not_be_so_large_is_told(tmp_path):
  records = tiny_run.write_data(tmp_path)
  model_dir = tmp_path / 'model'
  process = programs.run('main.py', *_arguments(model_dir, records, 1))
  assert process.returncode == 0, process.stderr
  process = programs.run(
    '-c', _LIMITED, 2**20, *_arguments(model_dir, records, 3)
  )
  assert process.returncode == 1
  message = process.stderr.splitlines()[-1]
  assert 'File too large' in message and 'ulimit' in message
  assert _check_whole(model_dir) == [0, 1]
