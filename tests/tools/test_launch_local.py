"""Starts processes that print, fail and wait."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
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


def _command(*flags, code=None):
  command = [sys.executable, 'tools/launch_local.py', *flags]
  return command + (['--', sys.executable, '-c', code] if code else [])


def _run(*flags, code=None):
  return subprocess.run(
    _command(*flags, code=code),
    cwd=os.path.abspath(_ROOT),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
    timeout=60,
  )


def test_workers_and_an_evaluator():
  run = _run('-n', '2', '--evaluator', code=_PRINT)
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
  run = _run('-n', '1', '--cores=1', code=_PRINT)
  assert run.stdout.split()[-1] == '1'
  run = _run('-n', '2', '--cores=1000', code=_PRINT)
  assert run.returncode == 2
  assert '--cores=1000: 2 processes would need 2000 cores' in run.stderr


def test_when_one_fails_the_others_are_stopped():
  begin = time.monotonic()
  run = _run('-n', '2', code=_FAIL_OR_WAIT)
  assert time.monotonic() - begin < 40
  assert run.returncode == 3
  assert 'worker 1 ended with exit code 3.' in run.stderr


def test_signals_are_passed_on():
  process = subprocess.Popen(
    _command(
      '-n', '2', code='import time; print(1, flush=True); time.sleep(100)'
    ),
    cwd=os.path.abspath(_ROOT),
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
  )
  for _ in range(2):
    process.stdout.readline()
  process.send_signal(signal.SIGTERM)
  assert process.wait(timeout=30) == 128 + signal.SIGTERM
  process.stdout.close()


@pytest.mark.parametrize(
  'command, message',
  [
    (['tools/launch_local.py'], 'No command: python tools/launch_local.py'),
    (['tools/launch_local.py', '--', 'nosuch'], "'nosuch' is no program"),
  ],
)
def test_wrong_commands(command, message):
  run = subprocess.run(
    [sys.executable, *command],
    cwd=os.path.abspath(_ROOT),
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  assert run.returncode == 2
  assert message in run.stderr
  assert json.dumps('Traceback') not in run.stderr
