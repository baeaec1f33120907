"""One training at a time in a directory."""

import functools
import json
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from executor import sole_training
from utils import errors


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
  monkeypatch.setattr(sole_training, '_BEAT_INTERVAL', 0.02)
  monkeypatch.setattr(sole_training, '_PATIENCE', 0.5)
  monkeypatch.setattr(sole_training, '_POLL', 0.02)


@pytest.fixture(params=['', 'file://'], ids=['local', 'remote'])
def directory(tmp_path, request):
  """A local directory, and one that is as far away as a bucket."""
  return request.param + str(tmp_path)


def _leave_lock(tmp_path, host, pid, beat=7, **changes):
  """What another process has written, here or elsewhere."""
  holder = dict(sole_training._me(), run='another', beat=beat)
  if host != socket.gethostname():
    holder['place'] = ['other', 'other']
  holder.update(host=host, pid=pid, since='2026-11-30', **changes)
  (tmp_path / 'training.lock').write_text(json.dumps(holder))


def _read(tmp_path):
  return json.loads((tmp_path / 'training.lock').read_text())


def _wait_for(condition):
  end = time.monotonic() + 10
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.01)


def test_a_second_training_is_refused_until_the_first_ends(tmp_path):
  directory = str(tmp_path / 'new')
  for _ in range(2):
    with sole_training.alone_in(directory):
      who = f'process {os.getpid()} on {socket.gethostname()}, since 20'
      with pytest.raises(
        errors.UserError, match="runs in model_dir '.*new'"
      ) as e:
        with sole_training.alone_in(directory):
          pass
      assert who in str(e.value)
      # The one that was refused leaves the lock.
      assert _read(tmp_path / 'new')['pid'] == os.getpid()
    assert not (tmp_path / 'new').exists()


def test_the_lock_ends_with_an_error(tmp_path, directory):
  with pytest.raises(ZeroDivisionError):
    with sole_training.alone_in(directory):
      assert os.listdir(str(tmp_path)) == ['training.lock']
      raise ZeroDivisionError
  assert os.listdir(str(tmp_path)) == []


def test_one_that_beats_elsewhere_is_left_alone(tmp_path, directory):
  _leave_lock(tmp_path, 'elsewhere', 12)
  beat = threading.Timer(0.1, _leave_lock, (tmp_path, 'elsewhere', 12, 8))
  beat.start()
  with pytest.raises(errors.UserError, match=r'\(process 12 on elsewhere, sin'):
    with sole_training.alone_in(directory):
      pass
  assert _read(tmp_path)['beat'] == 8


def test_one_that_does_not_is_taken_over(tmp_path, directory, caplog):
  _leave_lock(tmp_path, 'elsewhere', 12)
  start = time.monotonic()
  with sole_training.alone_in(directory):
    assert time.monotonic() - start >= 0.5
    assert _read(tmp_path)['host'] == socket.gethostname()
  assert 'taken over: process 12 on elsewhere, since 2026-11-30 is gone' in (
    caplog.text
  )
  assert not (tmp_path / 'training.lock').exists()


def test_one_that_was_killed_here_is_taken_over_at_once(
  tmp_path, directory, monkeypatch
):
  monkeypatch.setattr(sole_training, '_PATIENCE', 1e9)
  process = subprocess.Popen(['true'])
  process.wait()
  # The second: a container that was started anew.
  for pid in (process.pid, os.getpid()):
    _leave_lock(tmp_path, socket.gethostname(), pid)
    with sole_training.alone_in(directory):
      pass
  # Whoever has the number now, nobody has the directory.
  if '://' not in directory:
    _leave_lock(tmp_path, socket.gethostname(), os.getppid())
    with sole_training.alone_in(directory):
      pass


@pytest.mark.parametrize(
  'prefix,elsewhere', [('', 0), ('file://', 0), ('file://', 1)]
)
def test_containers_and_machines_of_one_name_are_told_apart(
  tmp_path, prefix, elsewhere
):
  place = sole_training._place()
  place[elsewhere] = 'other'
  directory = prefix + str(tmp_path)
  # In a container programs have the same small numbers.
  lock = functools.partial(
    _leave_lock, tmp_path, socket.gethostname(), os.getpid(), place=place
  )
  lock()
  threading.Timer(0.1, lock, [8]).start()
  with pytest.raises(errors.UserError, match='Another training runs'):
    with sole_training.alone_in(directory):
      pass
  with sole_training.alone_in(directory):
    lock(9)
    with pytest.raises(errors.UserError, match='Another training took over'):
      sole_training.Listener(directory).before_save(None, 0)
  assert _read(tmp_path)['beat'] == 9


def test_a_file_that_is_no_lock_is_none(tmp_path):
  for text in ('', '[]', '{"host": "elsewhere"}'):
    (tmp_path / 'training.lock').write_text(text)
    with sole_training.alone_in(str(tmp_path)):
      assert _read(tmp_path)['beat'] >= 0


def test_it_beats_until_it_is_taken_over(tmp_path, directory):
  listener = sole_training.Listener(directory)
  with sole_training.alone_in(directory):
    _wait_for(lambda: _read(tmp_path)['beat'] > 1)
    listener.before_save(None, 0)
    _leave_lock(tmp_path, 'elsewhere', 12)
    time.sleep(0.1)
    with pytest.raises(errors.UserError, match='process 12 on elsewhere'):
      listener.before_save(None, 0)
  assert _read(tmp_path)['host'] == 'elsewhere'


def test_a_directory_that_was_moved_away_is_not_made_anew(tmp_path):
  directory = tmp_path / 'run'
  with sole_training.alone_in(str(directory)):
    shutil.move(str(directory), str(tmp_path / 'moved'))
    time.sleep(0.1)
    assert not directory.exists()
  with sole_training.alone_in(str(tmp_path / 'moved')):
    pass
