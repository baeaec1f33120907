"""The benchmarks run, and print what they promise."""

import os
import re
import subprocess
import sys

import pytest

from configs import presets
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
def test_network_and_what_detection_adds():
  run = _run('bench_network.py', '--size=128', '--depth=10', '--rounds=1')
  assert run.returncode == 0, run.stderr
  speeds = re.findall(r'(\w+) +([\d.]+) GFLOP/s', run.stdout)
  assert [name for name, _ in speeds] == [
    'convolution',
    'training',
    'prediction',
  ]
  convolution, training, _ = (float(speed) for _, speed in speeds)
  share = float(re.search(r'training / convolution ([\d.]+)', run.stdout)[1])
  # Of one round: printed with one and with three decimals.
  assert share == pytest.approx(training / convolution, rel=0.02)
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
def test_runs(tmp_path):
  for index in range(2):
    record_factory.write_records(
      tmp_path / 'part{}.tfrecord'.format(index),
      [record_factory.make_record() for _ in range(4)],
    )
  run = _run(
    'bench_runs.py',
    '--size=128',
    '--depth=10',
    '--runs=1',
    '--file_pattern={}'.format(tmp_path / '*.tfrecord'),
  )
  assert run.returncode == 0, run.stderr
  assert float(re.search(r'first step: ([\d.]+) s', run.stdout).group(1)) > 1
  numbers = re.search(
    r'one worker (.*) images/s, two workers (.*): efficiency ([\d.]+)',
    run.stdout,
  ).groups()
  one, two, efficiency = map(float, numbers)
  assert 0 < one < 1000
  # How much it is depends on what else the machine does.
  assert efficiency == pytest.approx(two / (2 * one), rel=0.1)


@pytest.mark.slow
def test_input(tmp_path):
  path = tmp_path / 'part.tfrecord'
  record_factory.write_records(path, [record_factory.make_record()] * 8)
  run = _run(
    'bench_input.py',
    '--file_pattern={}'.format(path),
    '--rounds=1',
    '--batches=2',
  )
  assert run.returncode == 0, run.stderr
  lines = run.stdout.splitlines()
  speeds = [float(line[26:36]) for line in lines[1:4]]
  share = float(re.search(r'pipeline / floor ([\d.]+)', lines[4]).group(1))
  assert share == pytest.approx(speeds[1] / speeds[0], abs=0.006)


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
