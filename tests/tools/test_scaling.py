"""The scaling model gives hand-computed values; docs and tables agree."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from tests import record_factory
from tools.scaling_model import figure, inputs, measurements, step_time, tables
from utils import errors

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
_INPUTS = os.path.join(_ROOT, 'docs', 'scaling_inputs.json')

# Round numbers, for values that can be checked in the head.
_TPU = inputs.Device(
  name='TPU',
  network=inputs.TORUS,
  flops=1e12,
  memory_bytes=10e9,
  memory_bandwidth=1e12,
  cores_per_chip=2,
  cores_per_host=8,
  host_cores=10,
  transfer_bandwidth=1e9,
  link_bandwidth=1e9,
  host_bandwidth=0,
  hop_seconds=0.001,
  largest_unsynced=8,
  most_cores=512,
  sources={},
)
_GPU = _TPU._replace(
  name='GPU',
  network=inputs.RING,
  cores_per_chip=1,
  host_bandwidth=5e8,
  largest_unsynced=1,
)
_ASSUMED = inputs.Assumptions(
  utilisation=0.5,
  memory_passes=4,
  overlap=0,
  host_core_share=0.5,
  record_bytes=1e5,
  largest_batch=256,
  sources={},
)
_NETWORK = inputs.Network(
  name='net',
  preset='retinanet_resnet50',
  image='640x640',
  parameters=25 * 10**6,  # 0.1 GB of gradients
  multiply_adds=1e10,
  synced_layers=0,
  batch_per_core=2,
  fixed_bytes=10**9,
  image_bytes=2 * 10**9,
  variants={
    inputs.ON_TPU: inputs.Variant(10**6, 20.0, 80.0),
    inputs.ON_GPU: inputs.Variant(2 * 10**6, 10.0, 150.0),
  },
)


@pytest.mark.parametrize(
  'chips,shape',
  [(1, (1, 1)), (4, (2, 2)), (16, (4, 4)), (128, (8, 16)), (512, (16, 32))],
)
def test_shape_of_a_torus(chips, shape):
  assert step_time.torus_shape(chips) == shape


def test_ring():
  # Each of 4 sends 3 quarters twice.
  assert step_time.ring_seconds(4, 1e9, 1e9) == pytest.approx(1.5)
  assert step_time.ring_seconds(1, 1e9, 1e9) == 0


def test_all_reduce_in_a_torus():
  # 4 x 4 chips: 1.5 x 0.1 s in the rows, a quarter of that in the columns,
  # and 12 hops.
  assert step_time.all_reduce_seconds(_TPU, 32, 1e8) == pytest.approx(
    0.15 + 0.0375 + 0.012
  )


def test_all_reduce_over_hosts():
  # 8 GPUs: 1.75 x 0.1 s; 4 hosts: 1.5 x 0.2 s; 14 + 6 hops.
  assert step_time.all_reduce_seconds(_GPU, 32, 1e8) == pytest.approx(
    0.175 + 0.3 + 0.02
  )
  # Within a host its connection is not used.
  assert step_time.all_reduce_seconds(_GPU, 8, 1e8) == pytest.approx(
    0.175 + 0.014
  )


def test_step():
  step = step_time.step(_NETWORK, _TPU, _ASSUMED, cores=32, batch=64)
  # 2 images of 6 x 10 GFLOP with 0.5 TFLOP/s.
  assert step.compute == pytest.approx(0.24)
  # 16 images of 20 ms on 10 cores that are worth 5.
  assert step.host == pytest.approx(0.064)
  assert step.transfer == pytest.approx(0.016)
  assert step.exposed == pytest.approx(0.1995)
  assert step.sync_bn == 0
  assert step.seconds == pytest.approx(0.4395)
  assert step.images_per_second == pytest.approx(64 / 0.4395)
  assert step.efficiency == pytest.approx(0.24 / 0.4395)
  assert step.limit == 'all-reduce'


def test_memory_can_be_slower_than_multiplying():
  slow = _TPU._replace(memory_bandwidth=4e10)
  # 4 passes over 2 GB with 40 GB/s.
  seconds = step_time.compute_seconds(_NETWORK, slow, _ASSUMED, images=1)
  assert seconds == pytest.approx(0.2)


def test_overlap_hides_behind_the_backward_pass():
  hiding = _ASSUMED._replace(overlap=0.5)
  step = step_time.step(_NETWORK, _TPU, hiding, cores=32, batch=64)
  # Half of two thirds of 0.24 s.
  assert step.exposed == pytest.approx(0.1995 - 0.08)
  hiding = _ASSUMED._replace(overlap=1.0)
  many = step_time.step(_NETWORK, _TPU, hiding, cores=32, batch=640)
  assert many.exposed == 0
  assert many.limit == 'compute'


def test_host_limits():
  slow = _TPU._replace(host_cores=1)
  step = step_time.step(_NETWORK, slow, _ASSUMED, cores=32, batch=64)
  assert step.seconds == pytest.approx(0.64)
  assert step.limit == 'host input'
  step = step_time.step(
    _NETWORK, _TPU._replace(transfer_bandwidth=1e7), _ASSUMED, 32, 64
  )
  assert step.seconds == pytest.approx(1.6)
  assert step.limit == 'transfer'


def test_gpus_have_their_own_input():
  step = step_time.step(_NETWORK, _GPU, _ASSUMED, cores=32, batch=64)
  assert step.host == pytest.approx(0.032)
  assert step.transfer == pytest.approx(0.032)


def test_synced_batch_norm():
  synced = _NETWORK._replace(synced_layers=10)
  step = step_time.step(synced, _TPU, _ASSUMED, cores=32, batch=64)
  # 10 layers, 4 sums, 12 hops of 1 ms.
  assert step.sync_bn == pytest.approx(0.48)
  assert step.limit == 'sync BN'
  # Each part of a batch sums up for itself.
  step = step_time.step(synced, _TPU, _ASSUMED, cores=32, batch=64, parts=2)
  assert step.sync_bn == pytest.approx(0.96)
  # Up to 8 TPU cores keep their own moments, GPUs do not.
  assert step_time.step(synced, _TPU, _ASSUMED, 8, 16).sync_bn == 0
  assert step_time.step(synced, _GPU, _ASSUMED, 8, 16).sync_bn > 0


def test_largest_batch():
  assert step_time.largest_batch(_NETWORK, _TPU) == 4
  assert step_time.largest_batch(_NETWORK, _TPU, cores_per_image=2) == 9
  tiny = _TPU._replace(memory_bytes=5e8)
  assert step_time.largest_batch(_NETWORK, tiny) == 0


@pytest.mark.parametrize(
  'images_per_core,cores_per_image,parts',
  [(4, 1, 1), (6, 1, 2), (7, 1, 7), (1, 1, 1), (0.5, 2, 1), (1 / 16, 16, 1)],
)
def test_division(images_per_core, cores_per_image, parts):
  division = step_time.division(_NETWORK, _TPU, images_per_core)
  assert division == (cores_per_image, parts)


def test_what_cannot_be_divided():
  # No more than 16 cores share an image.
  assert step_time.division(_NETWORK, _TPU, 1 / 32) is None
  # GPUs do not share images.
  assert step_time.division(_NETWORK, _GPU, 0.5) is None
  assert step_time.division(_NETWORK, _GPU, 6) == (1, 2)
  synced = _NETWORK._replace(synced_layers=1)
  assert step_time.division(synced, _GPU, 4) == (1, 1)
  assert step_time.division(synced, _GPU, 6) is None
  # An image that is too large for one core is shared.
  large = _NETWORK._replace(image_bytes=12 * 10**9)
  assert step_time.division(large, _TPU, 0.5) == (2, 1)
  assert step_time.division(large, _TPU, 1) == (2, 2)


def test_infeed_and_size_of_a_network(tmp_path):
  path = str(tmp_path / 'one.tfrecord')
  with tf.io.TFRecordWriter(path) as writer:
    for _ in range(2):
      writer.write(record_factory.make_record())
  measured = measurements.measure_network(
    'retinanet_resnet50',
    path,
    batch_size=1,
    num_images=2,
    rounds=1,
    variants=[inputs.ON_TPU, inputs.ON_GPU],
  )
  num_anchors = 9 * (80**2 + 40**2 + 20**2 + 10**2 + 5**2)
  # A class and 4 coordinates of each anchor; number of positives, image_info
  # and source id.
  labels = num_anchors * 20 + 4 + 32 + 8
  on_tpu, on_gpu = (
    measured['variants'][name] for name in (inputs.ON_TPU, inputs.ON_GPU)
  )
  assert on_tpu['infeed_bytes'] == 640 * 640 * 3 * 2 + labels
  assert on_gpu['infeed_bytes'] == 640 * 640 * 3 * 4 + labels
  assert 0 < on_tpu['cpu_ms_per_image'] < 1000
  assert 0 < on_tpu['images_per_second'] < 10000
  # What the documented tables start from.
  stored = inputs.read(_INPUTS).networks[0]
  for key in ('preset', 'image', 'parameters', 'multiply_adds'):
    assert measured[key] == getattr(stored, key), key
  assert measured['synced_layers'] == stored.synced_layers == 0
  for name in (inputs.ON_TPU, inputs.ON_GPU):
    assert (
      measured['variants'][name]['infeed_bytes']
      == stored.variants[name].infeed_bytes
    )


def _run(*arguments):
  return subprocess.run(
    [sys.executable, os.path.join('tools', 'scaling.py'), *arguments],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )


def test_docs_hold_what_the_script_prints():
  run = _run()
  assert run.returncode == 0, run.stderr
  with open(os.path.join(_ROOT, 'docs', 'scaling.md')) as file:
    text = file.read()
  sections = re.split(r'(?m)^(?=### )', run.stdout)[1:]
  assert len(sections) == 12
  for section in sections:
    assert section.strip() in text


def test_machine_of_the_docs():
  with open(os.path.join(_ROOT, 'docs', 'scaling.md')) as file:
    assert inputs.read(_INPUTS).machine in file.read()


@pytest.mark.slow
def test_measures_into_the_file(tmp_path):
  records = str(tmp_path / 'one.tfrecord')
  with tf.io.TFRecordWriter(records) as writer:
    for _ in range(2):
      writer.write(record_factory.make_record())
  with open(_INPUTS) as file:
    content = json.load(file)
  del content['networks']['SpineNet-190'], content['memory']['SpineNet-190']
  content['networks']['R50-FPN']['preset'] = 'retinanet_demo'
  path = tmp_path / 'inputs.json'
  path.write_text(json.dumps(content))
  picture = tmp_path / 'picture.png'
  run = _run(
    '--measure',
    '--rounds=1',
    '--images=1',
    '--machine=this one',
    '--file_pattern=' + records,
    '--inputs={}'.format(path),
    '--figure={}'.format(picture),
  )
  assert run.returncode == 0, run.stderr
  assert picture.stat().st_size > 1000
  given = inputs.read(str(path))
  assert given.machine == 'this one'
  (network,) = given.networks
  assert network.image != '640x640'
  assert set(network.variants) == set(measurements.VARIANTS)
  speed = network.variants[inputs.ON_TPU].cpu_ms_per_image
  assert '{:.2f}'.format(speed) in run.stdout
  assert 'SpineNet-190' not in run.stdout


def test_figure(tmp_path):
  output = str(tmp_path / 'figure.svg')
  figure.draw(inputs.read(_INPUTS), output)
  with open(output) as file:
    assert 'R50-FPN' in file.read()


def test_measuring_needs_data():
  run = _run('--measure')
  assert run.returncode == 2
  assert '--measure needs --file_pattern=' in run.stderr


@pytest.mark.parametrize(
  'path,value,message',
  [
    (['devices', 'V100', 'flops'], 1e12, r'V100.flops: .* be \[number, source'),
    (['devices', 'V100', 'flops'], [0, 'paper'], 'has to be a number above 0'),
    (['devices', 'V100', 'network'], 'star', "'star' is none of torus, ring"),
    (['devices', 'V100', 'flop'], [1, 'x'], "'flop' is unknown.*'flops'"),
    (['assumptions', 'utilisation'], [1.5, 'x'], 'is a share, at most 1'),
    (['memory', 'R50-FPN'], None, 'memory: R50-FPN is missing'),
    (['memory', 'R50-FPN', 'fixed_bytes'], '3', "fixed_bytes: '3' has to be"),
    (['networks', 'R50-FPN', 'synced_layers'], 'no', "synced_layers: 'no' has"),
    (['networks', 'R50-FPN', 'preset'], None, 'preset is missing'),
    (
      ['networks', 'R50-FPN', 'variants', 'on GPUs'],
      None,
      "'on GPUs' is missing",
    ),
  ],
)
def test_wrong_inputs(tmp_path, path, value, message):
  with open(_INPUTS) as file:
    content = json.load(file)
  place = content
  for key in path[:-1]:
    place = place[key]
  if value is None:
    del place[path[-1]]
  else:
    place[path[-1]] = value
  file = tmp_path / 'inputs.json'
  file.write_text(json.dumps(content))
  with pytest.raises(errors.ConfigError, match=message):
    inputs.read(str(file))


def test_no_json(tmp_path):
  file = tmp_path / 'inputs.json'
  file.write_text('{')
  with pytest.raises(errors.ConfigError, match='is no JSON'):
    inputs.read(str(file))


def test_learning_rate_grows_with_the_batch():
  given = inputs.Inputs('here', [_NETWORK], [_TPU], _ASSUMED)
  rows = [
    [cell.strip() for cell in line.strip('|').split('|')]
    for line in tables.schedules(given).splitlines()[2:]
  ]
  # 22500 steps of 64 images with 0.08; 2 images a core.
  assert rows[0] == ['net', '8', '16', '0.02', '90000', '500', 'no']
  assert rows[2] == ['net', '256', '512', '0.64', '2812', '500', 'yes']


def test_sizes_that_are_not_built_are_left_out():
  given = inputs.Inputs('here', [_NETWORK], [_TPU], _ASSUMED)
  steps = list(tables.growing_steps(given, _NETWORK, _TPU))
  assert [step.cores for step, _ in steps] == [8, 32, 256]
  np.testing.assert_allclose([step.batch for step, _ in steps], [16, 64, 512])
