"""tools/check_records.py as a program: what it prints, and exit code."""

import os
import subprocess
import sys

from tests import record_factory

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def _check_records(*arguments):
  return subprocess.run(
    [sys.executable, 'tools/check_records.py', *arguments],
    cwd=os.path.abspath(_ROOT),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
    timeout=120,
  )


def test_problems_are_listed_and_counted(tmp_path):
  good = record_factory.write_records(
    tmp_path / 'good.tfrecord', [record_factory.make_record(b'1')] * 2
  )
  bad = record_factory.write_records(
    tmp_path / 'bad.tfrecord',
    [
      record_factory.make_record(b'7'),
      record_factory.make_record(b'8', classes=(9,)),
      record_factory.make_record(b'9', encoded=b'\xff\xd8\xff no image'),
    ],
  )
  process = _check_records('--file_pattern=' + good, '--num_classes=3')
  assert process.returncode == 0, process.stderr
  assert process.stdout == '1 files, 2 records read, 0 problems\n'

  process = _check_records(
    '--file_pattern={},{}'.format(good, bad), '--num_classes=3', '--max_rows=1'
  )
  assert process.returncode == 1
  problem, more, summary = process.stdout.splitlines()
  assert problem.startswith(
    "TFRecord file '{}', record 1 (source id '8'): class id 9 is outside of 1 "
    'to 2'.format(bad)
  )
  assert more == '... and 1 more'
  assert summary == '2 files, 5 records read, 2 problems'
  assert 'Traceback' not in process.stderr


def test_missing_file_is_named(tmp_path):
  pattern = str(tmp_path / 'x-*')
  process = _check_records('--file_pattern=' + pattern, '--num_classes=3')
  assert process.returncode == 1
  assert process.stderr.startswith(
    "Error: No file matches '{}'".format(pattern)
  )
