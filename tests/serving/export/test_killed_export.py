"""What an export leaves that is killed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from serving import contract
from tests import programs

_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *3 * ['..']))


def _listing(directory):
  return sorted(os.listdir(str(directory)))


_KILLED = """
import os, signal, sys
from serving.export import export
{module}
done = module.{function}
def die(*args, **kwargs):
  result = done(*args, **kwargs)
  if {condition}:
    os.kill(os.getpid(), signal.SIGKILL)
  return result
module.{function} = die
export.export(
  sys.argv[1], sys.argv[2], image_size=(64, 64), check=False,
  override_export_dir=True,
)
"""


def _run_until_killed(target, model, **kwargs):
  target.mkdir()
  (target / 'saved_model.pb').write_text('whole')
  run = subprocess.run(
    [*programs.PYTHON, '-c', _KILLED.format(**kwargs)]
    + [str(target), model.checkpoint],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  assert run.returncode == -signal.SIGKILL, run.stderr


def test_kill_before_the_end_leaves_the_old_one(resnet_model, tmp_path):
  target = tmp_path / 'export'
  _run_until_killed(
    target,
    resnet_model,
    module='module = export',
    function='_write_assets',
    condition='True',
  )
  assert _listing(target) == ['saved_model.pb']
  # What the killed process left is hidden.
  assert [n for n in _listing(tmp_path) if n[0] != '.'] == ['export']


def test_kill_between_the_renames_leaves_both_whole_and_hidden(
  resnet_model, tmp_path
):
  target = tmp_path / 'export'
  _run_until_killed(
    target,
    resnet_model,
    module='import os as module',
    function='rename',
    condition='args[0] == sys.argv[1]',
  )
  assert not [n for n in _listing(tmp_path) if n[0] != '.']
  (old,) = tmp_path.glob('.export.old.*/export')
  assert _listing(old) == ['saved_model.pb']
  (new,) = [p for p in tmp_path.glob('.export.*') if p != old.parent]
  assert _listing(new) == ['assets.extra', 'saved_model.pb', 'variables']


@pytest.mark.slow
def test_killed_at_any_moment_there_is_a_whole_one_or_none(
  resnet_model, tmp_path
):
  seed = int(time.time())
  print('seed', seed)
  draw = random.Random(seed)
  target = tmp_path / 'export'
  export = [
    *(*programs.PYTHON, 'export_saved_model.py', '--nocheck'),
    *('--override_export_dir', '--input_image_size=64,64'),
    *(f'--export_dir={target}', f'--checkpoint_path={resnet_model.checkpoint}'),
  ]
  start = time.monotonic()
  subprocess.run(export, cwd=_ROOT, check=True)
  duration = time.monotonic() - start
  files = [
    path.relative_to(target) for path in target.rglob('*') if path.is_file()
  ]
  for number in range(20):
    # The first half has nothing to replace.
    if number < 10 and target.exists():
      shutil.rmtree(str(target))
    process = subprocess.Popen(export, cwd=_ROOT)
    with contextlib.suppress(subprocess.TimeoutExpired):
      process.wait(draw.uniform(0.3, 1.1) * duration)
    process.kill()
    process.wait()
    # What was asked to end takes a moment.
    time.sleep(0.2)
    if target.exists():
      assert all((target / name).is_file() for name in files)
      contract.read(str(target))
