"""The benchmarks run, and print what they promise."""

import os
import re
import subprocess
import sys

import pytest

from configs import presets
from dataloader.autoaugment import operations
from tests import record_factory
from tools import bench_graphs

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def _run(tool, *arguments):
  return subprocess.run(
    [sys.executable, os.path.join('tools', tool), *arguments],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )


def test_graph_of_a_preset():
  run = _run('bench_graphs.py', '--presets=retinanet_demo', '--steps=1')
  assert run.returncode == 0, run.stderr
  (row,) = [
    line for line in run.stdout.splitlines() if 'retinanet_demo' in line
  ]
  build_seconds, nodes, most, step_seconds, peak = map(float, row.split()[1:])
  assert 0 < build_seconds < 100
  # A preset may not outgrow its bound unnoticed.
  assert 1000 < nodes <= most
  assert 0 < step_seconds < 100
  assert 0.1 < peak < 10


@pytest.mark.slow
def test_what_detection_adds():
  run = _run('bench_nms.py', '--size=128', '--depth=10', '--rounds=1')
  assert run.returncode == 0, run.stderr
  rows = [line for line in run.stdout.splitlines() if 'with NMS' in line]
  assert [row.split()[2] for row in rows] == ['v1', 'v2', 'batched']
  for row in rows:
    assert 0.5 < float(row.split()[3]) < 20
    # The random scores give NMS work.
    assert ' 100 detections' in row


@pytest.mark.slow
def test_memory():
  run = _run('bench_memory.py', '--size=128', '--batch_size=16')
  assert run.returncode == 0, run.stderr
  rows = [
    line for line in run.stdout.splitlines() if line.startswith('SpineNet-49')
  ]
  plain, recomputed, parts, both = [float(row[28:37]) for row in rows]
  assert 0.5 < plain < 10
  # The interpreter is a large share at this size.
  assert recomputed < 0.8 * plain
  assert both < 0.8 * plain
  assert parts < plain


@pytest.mark.slow
def test_scaling(tmp_path):
  for index in range(2):
    record_factory.write_records(
      tmp_path / 'part{}.tfrecord'.format(index),
      [record_factory.make_record() for _ in range(4)],
    )
  run = _run(
    'bench_scaling.py',
    '--size=128',
    '--depth=10',
    '--runs=1',
    '--file_pattern={}'.format(tmp_path / '*.tfrecord'),
  )
  assert run.returncode == 0, run.stderr
  numbers = re.search(
    r'one worker (.*) images/s, two workers (.*): efficiency ([\d.]+)',
    run.stdout,
  ).groups()
  one, two, efficiency = map(float, numbers)
  assert 0 < one < 1000
  # How much it is depends on what else the machine does.
  assert efficiency == pytest.approx(two / (2 * one), rel=0.1)


def test_scaling_needs_data():
  run = _run('bench_scaling.py')
  assert run.returncode == 2
  assert 'give --file_pattern' in run.stderr


@pytest.mark.slow
def test_formats():
  run = _run('bench_export.py', '--size=128', '--depth=10', '--rounds=2')
  assert run.returncode == 0, run.stderr
  lines = run.stdout.splitlines()
  rows = {line.split()[0]: line.split()[1:] for line in lines}
  for name in ('saved_model', 'frozen_graph', 'onnx', 'tflite'):
    preprocessing, network, _, median, high = map(float, rows[name])
    assert 0 < preprocessing < median <= high
    assert 0 < network < median
  assert lines[-1].startswith('fastest: ')


def test_every_preset_has_a_bound():
  names = {preset.name for preset in presets.find_presets()}
  assert set(bench_graphs.MOST_NODES) == names


def test_unknown_preset():
  run = _run('bench_graphs.py', '--presets=retinanet_dem')
  assert run.returncode == 2
  assert "mean 'retinanet_demo'" in run.stderr
  assert 'Traceback' not in run.stderr


def test_operations_of_augmentation():
  run = _run('bench_augmentation.py', '--runs=4')
  assert run.returncode == 0, run.stderr
  for name in operations.OPERATIONS:
    assert name in run.stdout
