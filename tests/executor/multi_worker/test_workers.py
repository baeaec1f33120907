"""Two real processes on this machine that train together."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from evaluation import report
from executor import runner as runner_lib
from tests import programs, record_factory, tiny_run
from tools import launch_local

_ROOT = os.path.abspath(
  os.path.join(os.path.dirname(__file__), '..', '..', '..')
)
_ALIKE = {
  'enable_summary': True,
  'retinanet_parser': {
    'output_size': [64, 64],
    'max_num_instances': 5,
    'aug_rand_hflip': False,
  },
  'batch_norm_activation': {'use_sync_bn': True},
  'retinanet_loss': {'normalizer_momentum': 0.9},
}


class _Workers:
  """Processes with logs in files."""

  def __init__(self, directory, overrides, count=2, flags=()):
    self.processes = []
    self._logs = []
    configs = launch_local.tasks(count, False).values()
    for index, config in enumerate(configs):
      changed = overrides[index] if isinstance(overrides, list) else overrides
      log = str(directory / f'log{index}')
      self._logs.append(log)
      with open(log, 'w') as target:
        self.processes.append(
          subprocess.Popen(
            [
              *programs.PYTHON,
              '-m',
              'main',
              '--mode=train',
              '--model_dir={}'.format(directory / 'model'),
              '--params_override=' + json.dumps(changed),
              *flags,
            ],
            cwd=_ROOT,
            env={**os.environ, 'TF_CONFIG': json.dumps(config)},
            stdout=target,
            stderr=target,
          )
        )

  def log(self, index):
    with open(self._logs[index]) as source:
      return source.read()

  def await_line(self, pattern, index=0, seconds=200):
    deadline = time.time() + seconds
    while not re.search(pattern, self.log(index)):
      codes = [process.poll() for process in self.processes]
      assert codes == [None] * len(codes), self.log(0) + self.log(1)
      assert time.time() < deadline, self.log(index)
      time.sleep(0.05)

  def exit_codes(self, seconds=200):
    return [process.wait(timeout=seconds) for process in self.processes]


@contextlib.contextmanager
def _workers(*args, **kwargs):
  running = _Workers(*args, **kwargs)
  try:
    yield running
  finally:
    for process in running.processes:
      process.kill()
      process.wait()


@pytest.fixture
def records(tmp_path):
  """Pattern of two files with one record each."""
  for i in range(2):
    record_factory.write_records(
      tmp_path / f'part{i}.tfrecord',
      [
        record_factory.make_record(
          source_id=str(100 + i).encode(),
          encoded=record_factory.encode(record_factory.pixels(seed=i)),
          classes=(1 + i,),
        )
      ],
    )
  return str(tmp_path / 'part*.tfrecord')


def _step(model_dir):
  return int(tf.train.latest_checkpoint(str(model_dir)).rsplit('-', 1)[1])


def _scalars(model_dir, tag='model_loss'):
  """(step, value) of every training step, in the order of writing."""
  values = []
  for name in sorted(os.listdir(str(model_dir))):
    if not name.endswith('.v2'):
      continue
    for event in tf.train.summary_iterator(str(model_dir / name)):
      for value in event.summary.value:
        if value.tag == tag:
          values.append((event.step, float(tf.make_ndarray(value.tensor))))
  return values


def _weights(prefix):
  reader = tf.train.load_checkpoint(str(prefix))
  return {
    name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
  }


@pytest.mark.slow
def test_two_workers_train_as_one_process(records, tmp_path):
  # Some steps are clipped.
  steps = {'total_steps': 10, 'gradient_clip_norm': 1.0}
  one = tmp_path / 'one' / 'model'
  start = tmp_path / 'start'
  runner_lib.Runner(
    tiny_run.resolve(start, records, {'train': {'total_steps': 1}})
  ).train()
  # Initial weights that are the same.
  steps['checkpoint'] = {'path': str(start / 'model.ckpt-0')}
  override = tiny_run.overrides(records, {'train': steps}, _ALIKE)
  single = subprocess.run(
    [
      *programs.PYTHON,
      '-m',
      'main',
      '--mode=train',
      f'--model_dir={one}',
      '--params_override=' + json.dumps(override),
    ],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    universal_newlines=True,
  )
  assert single.returncode == 0, single.stdout
  two = tmp_path / 'two'
  two.mkdir()
  with _workers(two, override, flags=['--eval_after_training']) as workers:
    assert workers.exit_codes() == [0, 0], workers.log(0) + workers.log(1)
    chief_log, worker_log = workers.log(0), workers.log(1)
  expected, got = _scalars(one), _scalars(two / 'model')
  assert [step for step, _ in got] == list(range(10))
  np.testing.assert_allclose(got, expected, rtol=1e-3)
  # Something is learnt in so many steps.
  assert got[-1][1] < 0.9 * got[0][1]
  initial = _weights(start / 'model.ckpt-0')
  expected = _weights(one / 'model.ckpt-10')
  got = _weights(two / 'model' / 'model.ckpt-10')
  assert set(got) == set(expected)
  moved = difference = 0.0
  for name, value in expected.items():
    # Rounding, which ten steps amplify, is seen most in the gradients; and the
    # fused layer of one device multiplies the variance by n / (n - 1).
    if name in initial and not re.search('Momentum|moving_', name):
      moved += np.sum(np.square(value - initial[name]))
      difference += np.sum(np.square(got[name] - value))
  assert 0 < difference**0.5 < 0.02 * moved**0.5
  # The chief alone writes and shows progress.
  events = [n for n in os.listdir(str(two / 'model')) if 'tfevents' in n]
  assert len(events) == 2
  assert 'step 10/10' in chief_log
  assert 'step 1/' not in worker_log
  assert 'are in the log of worker 0' in worker_log
  # It evaluates, too, once and at the end.
  metrics = json.loads((two / 'model' / 'eval' / 'metrics.json').read_text())
  assert metrics['step'] == 10
  assert chief_log.count('The metrics are in') == 1
  assert 'The metrics are in' not in worker_log


@pytest.mark.slow
@pytest.mark.parametrize('victim', [0, 1])
def test_a_killed_worker_and_a_restart(records, tmp_path, victim):
  override = tiny_run.overrides(
    records,
    {'train': {'total_steps': 60, 'save_checkpoint_seconds': 2}},
    _ALIKE,
  )
  model_dir = tmp_path / 'model'
  with _workers(tmp_path, override) as workers:
    workers.await_line('step 11/60')
    while _step(model_dir) == 0:
      time.sleep(0.05)
    workers.processes[victim].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    assert workers.processes[1 - victim].wait(timeout=60) == 1
    assert time.monotonic() - killed < 60
    message = workers.log(1 - victim).splitlines()[-1]
    name = r'Error: worker {} \(127.0.0.1:\d+\) is gone'.format(victim)
    assert re.match(name, message)
    assert 'go on from the last checkpoint' in message
  saved = _step(model_dir)
  assert 0 < saved < 60
  with _workers(tmp_path, override) as workers:
    assert workers.exit_codes() == [0, 0], workers.log(0) + workers.log(1)
    assert f'Training continues from step {saved}.' in workers.log(0)
  steps = [step for step, _ in _scalars(model_dir)]
  # The second run goes on where the weights were saved, to the end. Of the
  # first one the last summaries were not written yet.
  assert steps[-(60 - saved) :] == list(range(saved, 60))
  assert _step(model_dir) == 60


@pytest.mark.slow
def test_workers_that_go_on_repeat_the_losses(records, tmp_path):
  losses = {}
  for name, ends in {'unbroken': [22], 'stopped': [2, 22]}.items():
    directory = tmp_path / name
    directory.mkdir()
    for end in ends:
      override = tiny_run.overrides(
        records,
        {'train': {'total_steps': end, 'seed': 3, 'ema_decay': 0.9}},
        {'resnet': {'resnet_depth': 10, 'init_drop_connect_rate': 0.4}},
        {'enable_summary': True},
      )
      with _workers(directory, override) as workers:
        assert workers.exit_codes() == [0, 0], workers.log(0) + workers.log(1)
    losses[name] = _scalars(directory / 'model')
  assert [step for step, _ in losses['stopped']] == list(range(22))
  np.testing.assert_allclose(losses['stopped'], losses['unbroken'], rtol=1e-4)


def test_a_worker_with_another_config_is_refused(records, tmp_path):
  overrides = [
    tiny_run.overrides(records, {'fpn': {'fpn_feat_dims': filters}})
    for filters in (8, 16)
  ]
  with _workers(tmp_path, overrides) as workers:
    assert workers.exit_codes() == [2, 2]
    for index in range(2):
      assert re.search(
        r'Error: worker 1 \(.*\) differs from worker 0 \(.*\): '
        r'fpn.fpn_feat_dims is 16, not 8\.',
        workers.log(index),
      )
  assert not os.path.exists(str(tmp_path / 'model'))


@pytest.mark.slow
def test_a_signal_to_one_stops_all_at_the_same_step(records, tmp_path):
  override = tiny_run.overrides(records, {'train': {'total_steps': 1000}})
  with _workers(tmp_path, override) as workers:
    workers.await_line('step 11/1000')
    workers.processes[1].send_signal(signal.SIGTERM)
    assert workers.exit_codes() == [143, 143]
    saved = _step(tmp_path / 'model')
    assert 10 < saved < 1000
    name = f'model.ckpt-{saved} was saved'
    assert 'Stopped by SIGTERM. The checkpoint ' in workers.log(1)
    assert 'Stopped by SIGTERM to another worker.' in workers.log(0)
    for index in range(2):
      assert name in workers.log(index)


@pytest.mark.slow
def test_evaluations_elsewhere_end_all_at_the_same_step(records, tmp_path):
  override = tiny_run.overrides(
    records,
    {
      'train': {
        'total_steps': 1000,
        'save_checkpoint_seconds': 1,
        'early_stop_evaluations': 1,
      }
    },
  )
  with _workers(tmp_path, override) as workers:
    workers.await_line('step 11/1000')
    for step in (1, 2):
      directory = str(tmp_path / 'model' / 'eval')
      report.write_metrics(directory, {'AP': 0.5}, step)
    assert workers.exit_codes() == [0, 0], workers.log(0) + workers.log(1)
    assert 'Training ends here: AP has not improved on the 0.5 of step 1' in (
      workers.log(0)
    )
  assert 10 < _step(tmp_path / 'model') < 1000


@pytest.mark.slow
def test_an_error_of_one_is_told_to_the_others(records, tmp_path):
  good = tiny_run.overrides(records, {'train': {'total_steps': 1000}})
  with _workers(tmp_path, good) as workers:
    workers.await_line('step 1/1000')
    # Of the second worker.
    with open(str(tmp_path / 'part1.tfrecord'), 'wb') as target:
      target.write(b'no record' * 100)
    assert workers.exit_codes() == [1, 1]
    # By the other worker's last word or by the runtime, whichever is first.
    assert re.search(r'Error: .*part1\.tfrecord', workers.log(0), re.DOTALL)


@pytest.mark.slow
def test_one_worker_and_an_evaluator(records, tmp_path):
  override = tiny_run.overrides(
    records, {'train': {'total_steps': 3}, 'eval': {'eval_timeout': 200}}
  )
  run = subprocess.run(
    [
      *programs.PYTHON,
      os.path.join('tools', 'launch_local.py'),
      '-n',
      '1',
      '--evaluator',
      '--',
      sys.executable,
      'main.py',
      '--mode=train',
      '--eval_after_training',
      '--model_dir={}'.format(tmp_path / 'model'),
      '--params_override=' + json.dumps(override),
    ],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    universal_newlines=True,
  )
  assert run.returncode == 0, run.stdout
  lines = {
    name: [x for x in run.stdout.splitlines() if x.startswith(name)]
    for name in ('[worker 0]', '[evaluator 0]')
  }
  trained, evaluated = map('\n'.join, lines.values())
  assert 'step 3/3' in trained and 'step 3/3' not in evaluated
  assert 'Plan: train' in trained and 'Plan: eval' in evaluated
  assert 'The metrics are in' not in trained
  assert 'The metrics are in' in evaluated
  metrics = tmp_path / 'model' / 'eval' / 'metrics.json'
  assert json.loads(metrics.read_text())['step'] == 3
