"""Signals end a program, whatever it does."""

import os
import signal
import subprocess
import sys
import time

import pytest

from utils import signals

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(signals.__file__)))
_PROGRAM = """
import hashlib, sys, time
from absl import flags
from utils import program, signals
def wait():
  try:
    print('ready', flush=True)
    time.sleep(60)
  finally:
    print('cleaned', flush=True)
def block():
  signals.be_patient(0.5)
  print('ready', flush=True)
  # In C, without a look at signals.
  hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)
def note():
  with signals.noting(print):
    print('ready', flush=True)
    time.sleep(1)
  print('finished', flush=True)
def destroy():
  class Destroyed:
    def __del__(self):
      print('ready', flush=True)
      time.sleep(1)
  try:
    Destroyed()
    time.sleep(60)
  finally:
    print('cleaned', flush=True)
program.run(lambda argv: {}())
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
  'what,code,printed,told',
  [
    ('wait', 128, 'cleaned\n', 'Interrupted by {}.\n'),
    ('destroy', 128, 'cleaned\n', 'Interrupted by {}.\n'),
    ('block', 128, '', 'Interrupted by {}. What was running did not end in'),
    ('note', 0, '{:d}\nfinished\n', ''),
  ],
)
def test_a_program_ends(number, what, code, printed, told):
  process = subprocess.Popen(
    [sys.executable, '-c', _PROGRAM.format(what)],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  assert process.stdout.readline() == 'ready\n'
  time.sleep(0.2)
  process.send_signal(number)
  output, log = process.communicate(timeout=15)
  assert process.returncode == (code and code + number)
  assert output == printed.format(number)
  assert told.format(number.name) in log
  assert 'Error' not in log and 'Traceback' not in log


def test_the_second_signal_is_handled_as_outside():
  noted = []
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    with pytest.raises(KeyboardInterrupt), signals.noting(noted.append):
      os.kill(os.getpid(), signal.SIGINT)
      os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
  finally:
    signal.signal(signal.SIGINT, before)
  assert noted == [signal.SIGINT]
