"""The demo: its folder, its pictures and, slow, what it reaches."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests import programs

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def _run_demo(*args):
  return subprocess.run(
    [*programs.PYTHON, '-m', 'tools.demo', *args],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )


def test_somebody_elses_files_stay(tmp_path):
  (tmp_path / 'thesis.txt').write_text('years of work')
  done = _run_demo(f'--output_dir={tmp_path}')
  assert done.returncode == 1
  assert str(tmp_path) in done.stderr
  assert 'Traceback' not in done.stderr
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']


@pytest.mark.slow
def test_the_demo_finds_shapes_that_it_has_not_seen(tmp_path):
  done = _run_demo(f'--output_dir={tmp_path}')
  assert done.returncode == 0, done.stderr[-4000:]
  metrics = json.loads(
    (tmp_path / 'model' / 'eval' / 'metrics.json').read_text()
  )
  assert metrics['AP50'] >= 0.7
  assert len(list((tmp_path / 'pictures').iterdir())) == 12
  assert (tmp_path / 'page.html').exists()


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_was_stopped_goes_on(tmp_path, number):
  flags = [f'--output_dir={tmp_path}', '--train_images=8', '--val_images=4']
  flags.append('--train_steps=12')
  demo = subprocess.Popen(
    [sys.executable, '-m', 'tools.demo', *flags],
    cwd=_ROOT,
    start_new_session=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    universal_newlines=True,
  )
  for line in demo.stdout:
    if 'step 1/12' in line:
      break
  # A terminal sends it to all processes that it has.
  (os.killpg if number == signal.SIGINT else os.kill)(demo.pid, number)
  rest = demo.communicate()[0]
  assert demo.returncode == 128 + number, rest
  assert 'The checkpoint ' in rest
  done = _run_demo(*flags)
  assert done.returncode == 0, done.stderr[-4000:]
  assert 'was stopped, and goes on' in done.stdout
  assert 'Training continues from step' in done.stderr
  assert (tmp_path / 'page.html').exists()
  done = _run_demo(*flags)
  assert done.returncode == 1
  assert 'which has ended. Delete it, or give' in done.stderr


@pytest.mark.slow
def test_the_demo_with_masks(tmp_path):
  done = _run_demo(
    f'--output_dir={tmp_path}',
    '--masks',
    '--train_images=8',
    '--val_images=4',
    '--train_steps=2',
  )
  assert done.returncode == 0, done.stderr[-4000:]
  metrics = json.loads(
    (tmp_path / 'model' / 'eval' / 'metrics.json').read_text()
  )
  assert {'AP50', 'mask_AP50'} <= set(metrics)
  assert len(list((tmp_path / 'pictures').iterdir())) == 4
  assert (tmp_path / 'page.html').exists()
