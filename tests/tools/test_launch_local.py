"""Starts processes that print, fail and wait."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests import programs
from tools import launch_local

_PRINT = (
  'import json, os; c = json.loads(os.environ["TF_CONFIG"]); '
  'print(c["task"]["type"], c["task"]["index"], '
  '*c["cluster"]["worker"], len(os.sched_getaffinity(0)))'
)
_FAIL_OR_WAIT = (
  'import json, os, sys, time; '
  'i = json.loads(os.environ["TF_CONFIG"])["task"]["index"]; '
  'sys.exit(3) if i else time.sleep(100)'
)
_PRINT_AND_WAIT = 'import time; print(1, flush=True); time.sleep(100)'
_IGNORE = 'import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); '


def _command(*flags, code):
  return ['tools/launch_local.py', *flags, '--', sys.executable, '-c', code]


def _start(code):
  """A launcher whose two workers have printed a line."""
  process = subprocess.Popen(
    [*programs.PYTHON, *_command('-n', '2', code=code)],
    cwd=programs.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  for _ in range(2):
    process.stdout.readline()
  return process


def test_workers_and_an_evaluator():
  run = programs.run(*_command('-n', '2', '--evaluator', code=_PRINT))
  assert run.returncode == 0, run.stderr
  lines = sorted(run.stdout.splitlines())
  assert len(lines) == 3
  assert re.match(r'\[evaluator 0\] evaluator 0 127\.0\.0\.1:\d+ ', lines[0])
  assert re.match(r'\[worker 0\] worker 0 ', lines[1])
  assert re.match(r'\[worker 1\] worker 1 ', lines[2])
  addresses = {tuple(line.split()[4:6]) for line in lines}
  assert len(addresses) == 1
  assert len(set(addresses.pop())) == 2


def test_cores():
  run = programs.run(*_command('-n', '1', '--cores=1', code=_PRINT))
  assert run.stdout.split()[-1] == '1'
  run = programs.run(*_command('-n', '2', '--cores=1000', code=_PRINT))
  assert run.returncode == 2
  assert '--cores=1000: 2 processes would need 2000 cores' in run.stderr


def test_when_one_fails_the_others_are_stopped(monkeypatch, capfd):
  monkeypatch.setattr(launch_local, '_STOP_AFTER', 0.5)
  command = [sys.executable, '-c', _FAIL_OR_WAIT]
  assert launch_local.launch(command, 2) == 3
  text = capfd.readouterr().err
  assert 'worker 1 ended with exit code 3.' in text
  assert 'killed' not in text


def test_signals_are_passed_on():
  process = _start(_PRINT_AND_WAIT)
  process.send_signal(signal.SIGTERM)
  process.communicate(timeout=30)
  assert process.returncode == 128 + signal.SIGTERM


def test_a_second_signal_kills_and_says_whom():
  process = _start(_IGNORE + _PRINT_AND_WAIT)
  process.send_signal(signal.SIGTERM)
  with pytest.raises(subprocess.TimeoutExpired):
    process.wait(timeout=1)
  process.send_signal(signal.SIGTERM)
  _, text = process.communicate(timeout=30)
  assert process.returncode == 128 + signal.SIGKILL
  for index in range(2):
    assert f'worker {index} is killed: a second signal' in text


def test_one_that_stays_after_a_failure_is_killed(monkeypatch, capfd):
  monkeypatch.setattr(launch_local, '_STOP_AFTER', 1.0)
  monkeypatch.setattr(launch_local, '_KILL_AFTER', 2.0)
  code = _IGNORE + _FAIL_OR_WAIT
  assert launch_local.launch([sys.executable, '-c', code], 2) == 3
  text = capfd.readouterr().err
  assert 'worker 0 is killed: it runs 2 s after the failure.' in text
  assert 'worker 1 is killed' not in text


def _started(monkeypatch, before_second):
  """Notes processes; `before_second` is called before the second starts."""
  popen = subprocess.Popen
  started = []

  def start(*args, **kwargs):
    if started:
      before_second()
    started.append(popen(*args, **kwargs))
    return started[-1]

  monkeypatch.setattr(subprocess, 'Popen', start)
  return started


def test_none_is_left_if_one_does_not_start(monkeypatch, capfd):
  def fail():
    raise OSError('Too many open files')

  started = _started(monkeypatch, fail)
  with pytest.raises(OSError, match='Too many'):
    launch_local.launch(['sleep', '100'], 2)
  assert [process.returncode for process in started] == [-signal.SIGKILL]
  assert 'worker 0 is killed: this program ends.' in capfd.readouterr().err


def test_none_is_left_by_a_signal_while_they_start(monkeypatch):
  before = signal.getsignal(signal.SIGTERM)
  started = _started(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM))
  assert launch_local.launch(['sleep', '100'], 2) == 128 + signal.SIGTERM
  assert [process.returncode for process in started] == [-signal.SIGTERM] * 2
  assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
  'command, message',
  [
    (['tools/launch_local.py'], 'No command: python tools/launch_local.py'),
    (['tools/launch_local.py', '--', 'nosuch'], "'nosuch' is no program"),
  ],
)
def test_wrong_commands(command, message):
  run = programs.run(*command)
  assert run.returncode == 2
  assert message in run.stderr
  assert 'Traceback' not in run.stderr
