"""Several replicas train as one device does."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from executor import runner as runner_lib
from tests import record_factory, tiny_run

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
# All batches are alike, so that each of two replicas computes what one device
# does with half of the global batch.
_SETTINGS = {
  'train': {'total_steps': 2},
  'retinanet_loss': {'normalizer_momentum': 0.9},
  'retinanet_parser': {
    'output_size': [64, 64],
    'max_num_instances': 5,
    'aug_rand_hflip': False,
  },
}


def _run_mirrored(model_dir, records, override):
  process = subprocess.run(
    [
      sys.executable,
      '-m',
      'tests.executor.mirrored_run',
      str(model_dir),
      records,
      json.dumps(override),
    ],
    cwd=os.path.abspath(_ROOT),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
    timeout=300,
  )
  assert process.returncode == 0, process.stderr[-3000:]
  return json.loads(process.stdout.splitlines()[-1])


def _weights(path):
  reader = tf.train.load_checkpoint(str(path))
  return {
    name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
  }


def test_two_replicas_train_as_one_device_on_half_of_the_batch(tmp_path):
  record = record_factory.make_record(b'100')
  records = record_factory.write_records(tmp_path / 'one.tfrecord', [record])
  params = tiny_run.resolve(tmp_path / 'one', records, _SETTINGS)
  runner_lib.Runner(params).train()
  # A checkpoint to start from makes the initial weights equal.
  start = str(tmp_path / 'one' / 'model.ckpt-0')
  metrics = _run_mirrored(
    tmp_path / 'two',
    records,
    {
      **_SETTINGS,
      'train': {
        'total_steps': 2,
        'train_batch_size': 4,
        'checkpoint': {'path': start},
      },
    },
  )
  one, two = [
    _weights(tmp_path / name / 'model.ckpt-2') for name in ('one', 'two')
  ]
  assert set(one) == set(two)
  initial = _weights(start)
  moved = [name for name in one if not np.array_equal(one[name], initial[name])]
  assert len(moved) > 100
  for name, value in one.items():
    np.testing.assert_allclose(
      two[name], value, rtol=1e-3, atol=1e-5, err_msg=name
    )
  assert two['moving_normalizer'] == pytest.approx(one['moving_normalizer'])
  assert metrics['ARmax100'] >= 0
