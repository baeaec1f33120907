"""The scaling model: values by hand, and docs that hold what it prints."""

import os
import subprocess
import sys

import pytest

from tools import scaling

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
R50, SPINENET = scaling.NETWORKS
V2, V3, V100, _ = scaling.DEVICES


def test_all_reduce_in_a_torus():
  # 128 chips: rows of 16, then columns of 8 with a sixteenth of the bytes.
  expected = 2 * 15 / 16 / 62 + 2 * 7 / 8 / 16 / 62 + 2 * (15 + 7) * 1e-6
  assert scaling.all_reduce_seconds(V2, 256, 1e9) == pytest.approx(expected)


def test_all_reduce_over_hosts():
  # 8 GPUs of a host, then 4 hosts that share one connection each.
  expected = 2 * 7 / 8 / 150 + 2 * 3 / 4 / 12.5 + 2 * (7 + 3) * 5e-6
  assert scaling.all_reduce_seconds(V100, 32, 1e9) == pytest.approx(expected)


def test_step():
  step = scaling.training_step(R50, V3, 8, 64)
  assert step.host == pytest.approx(64 * 8.8e-3 / 24)
  assert step.transfer == pytest.approx(64 * 3.992e6 / 15.75e9)
  assert step.compute == pytest.approx(6 * 96.936e9 * 8 / (0.2 * 61.5e12))
  assert step.sync_bn == 0
  assert step.limit == 'compute'
  assert step.seconds == step.compute + step.all_reduce


def test_memory_can_be_slower_than_multiplying():
  slow = V3._replace(memory_bandwidth=1e9)
  step = scaling.training_step(R50, slow, 8, 8)
  assert step.compute == pytest.approx(5 * 0.6642)


def test_a_host_with_few_cores_limits():
  step = scaling.training_step(R50, V3._replace(host_cores=1), 8, 64)
  assert step.limit == 'host'
  assert step.seconds == pytest.approx(64 * 8.8e-3 / 0.5)


def test_synced_batch_norm():
  # 341 layers, 4 sums; 4 x 4 chips: 2 * (3 + 3) hops.
  step = scaling.training_step(SPINENET, V3, 32, 64)
  assert step.sync_bn == pytest.approx(341 * 4 * 12e-6)


def test_an_image_that_does_not_fit_is_shared():
  assert scaling.cores_per_image(R50, V2) == 1
  assert scaling.cores_per_image(SPINENET, V3) == 1
  assert scaling.cores_per_image(SPINENET, V2) == 2
  (first, *_) = scaling.step_rows(SPINENET)
  assert first[:3] == ('TPU v2', 8, 4)


def test_docs_hold_what_the_script_prints():
  run = subprocess.run(
    [sys.executable, 'tools/scaling.py'],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    check=True,
  )
  with open(os.path.join(_ROOT, 'docs', 'scaling.md'), encoding='utf-8') as f:
    assert run.stdout.decode().rstrip() in f.read()
