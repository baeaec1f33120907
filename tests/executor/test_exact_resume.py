"""A run that is stopped and started again ends with the bits of a whole one.

Real programs get real signals.
"""

import json
import os
import random
import re
import signal
import subprocess
import time

import pytest
import tensorflow.compat.v1 as tf

from evaluation import report
from modeling import checkpoint
from tests import (
  classification_set,
  programs,
  record_factory,
  tiny_run,
  two_stage_batch,
)

# Gets a signal in the given step; 0 is none.
_STOPPED = """
import os, runpy, sys
from modeling.training import finite_loss
step, number = int(sys.argv.pop(1)), int(sys.argv.pop(1))
after_run = finite_loss.FiniteLossHook.after_run
def stop(hook, context, values):
  after_run(hook, context, values)
  if number and values.results['step'] == step:
    os.kill(os.getpid(), number)
finite_loss.FiniteLossHook.after_run = stop
runpy.run_path('main.py', run_name='__main__')
"""
# Says when it comes to some place, and stays there for a while.
_SLOW = """
import runpy, sys, time
from utils import signals
import tensorflow.compat.v1 as tf
from evaluation import coco_evaluator
from modeling import model_builder
place = sys.argv.pop(1)
owner, name = {{
  'build': (model_builder.ModelFn, '_train'),
  'save': (tf.train.Saver, 'save'),
  'evaluation': (coco_evaluator.COCOEvaluator, 'evaluate'),
}}[place]
call = getattr(owner, name)
def slowly(*args, **kwargs):
  # Before the first step there is nothing to lose.
  if kwargs.get('global_step') != 0:
    print('HERE', flush=True)
    time.sleep({seconds})
  return call(*args, **kwargs)
setattr(owner, name, slowly)
signals.PATIENCE = {patience}
runpy.run_path('main.py', run_name='__main__')
"""
_POLICY = [[['Color', 0.6, 8], ['Rotate_BBox', 0.6, 6]], [['Cutout', 0.8, 8]]]
# All that is drawn, and all that is kept from step to step.
_TRAIN = {
  'seed': 3,
  'train_batch_size': 4,
  'total_steps': 6,
  'ema_decay': 0.9,
  'save_checkpoint_seconds': 0,
  'learning_rate': {'warmup_steps': 3, 'init_learning_rate': 0.01},
}
_DROPPING = {'resnet': {'resnet_depth': 10, 'init_drop_connect_rate': 0.4}}


def _classifier(directory):
  records = classification_set.write(directory)
  return two_stage_batch.merged(
    _DROPPING,
    {
      'type': 'classification',
      'architecture': {'num_classes': 4},
      'classification_head': {'dropout_rate': 0.3},
      'classification_parser': {'output_size': [40, 56], 'aug_policy': _POLICY},
      'train': {**_TRAIN, 'train_file_pattern': records},
    },
  )


def _detector(directory):
  """In parts of a batch, with a broken image."""
  broken = record_factory.make_record(b'55', encoded=b'\xff\xd8\xff broken')
  records = tiny_run.write_data(directory, broken)
  parser = {
    'output_size': [64, 64],
    'max_num_instances': 5,
    'aug_policy': _POLICY,
    'aug_scale_min': 0.8,
    'aug_scale_max': 1.2,
  }
  return tiny_run.overrides(
    records,
    _DROPPING,
    {
      'retinanet_parser': parser,
      'dropblock': {'dropblock_keep_prob': 0.9, 'dropblock_size': 1},
      'train': {
        **_TRAIN,
        'gradient_accumulation_steps': 2,
        'skip_broken_images': True,
      },
    },
  )


def _masks(directory):
  records = record_factory.write_records(
    directory / 'set.tfrecord', map(record_factory.with_mask, range(7))
  )
  return two_stage_batch.merged(
    two_stage_batch.SMALL,
    _DROPPING,
    {
      'maskrcnn_parser': {'output_size': [64, 64]},
      'train': {**_TRAIN, 'train_file_pattern': records},
    },
  )


def _command(model_dir, override, *arguments, program='main.py'):
  return [
    *programs.PYTHON,
    *([program] if program == 'main.py' else ['-c', program]),
    *map(str, arguments),
    f'--model_dir={model_dir}',
    '--params_override=' + json.dumps(override),
  ]


def _start(*args, **kwargs):
  return subprocess.Popen(
    _command(*args, **kwargs),
    cwd=programs.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    universal_newlines=True,
  )


def _end(process):
  """Waits for the end; returns the exit code and what was printed."""
  output, _ = process.communicate(timeout=300)
  return process.returncode, output


def _bits(model_dir):
  reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(model_dir)))
  return {
    name: reader.get_tensor(name).tobytes()
    for name in reader.get_variable_to_shape_map()
  }


def _assert_same_bits(got, want):
  got, want = _bits(got), _bits(want)
  assert set(got) == set(want)
  assert [name for name in want if got[name] != want[name]] == []
  kinds = ('/Momentum', '/ExponentialMovingAverage', 'moving_variance')
  assert all(any(name.endswith(kind) for name in want) for kind in kinds)


def _history(model_dir):
  lines = (model_dir / 'history.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


_TERM, _KILL, _INT = signal.SIGTERM, signal.SIGKILL, signal.SIGINT
# In which step which signal comes, and the last checkpoint of each start.
_INTERRUPTED = [(3, _INT, 5), (0, 0, 6)]
# Of SIGKILL the step is lost that was not saved.
_ALL_SIGNALS = [(0, _TERM, 2), (2, _KILL, 2), (3, _INT, 5), (0, 0, 6)]


@pytest.mark.parametrize(
  'make,starts',
  [
    (_classifier, _INTERRUPTED),
    *(
      pytest.param(make, _ALL_SIGNALS, marks=pytest.mark.slow)
      for make in (_classifier, _detector, _masks)
    ),
  ],
)
def test_signals_change_no_bit(tmp_path, make, starts):
  override = make(tmp_path)
  unbroken = _start(tmp_path / 'unbroken', override, '--mode=train')
  stopped = tmp_path / 'stopped'
  for step, number, saved in starts:
    process = _start(
      stopped, override, step, int(number), '--mode=train', program=_STOPPED
    )
    code, output = _end(process)
    expected = -number if number == _KILL else number and 128 + number
    assert code == expected, output
    assert checkpoint.latest_step(str(stopped)) == saved
  code, output = _end(unbroken)
  assert code == 0, output
  _assert_same_bits(stopped, tmp_path / 'unbroken')


# What a directory of a training may hold; a kill may tear the newest
# checkpoint, which is set aside.
_WHOLE = re.compile(
  r'checkpoint|damaged|params\.yaml|history\.jsonl|train_model_stats\.json|'
  r'model\.ckpt-\d+\.(index|meta|data-00000-of-00001)|events\.out\..*'
)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_twenty_kills_at_random_moments(tmp_path):
  seed = random.SystemRandom().randrange(10**6)
  print('seed', seed)
  moments = random.Random(seed)
  override = _detector(tmp_path)
  override['train']['total_steps'] = 120
  unbroken = _start(tmp_path / 'unbroken', override, '--mode=train')
  begin = time.monotonic()
  for line in unbroken.stdout:
    if 'step 1/' in line:
      break
  start_seconds = time.monotonic() - begin
  code, output = _end(unbroken)
  assert code == 0, output
  killed = tmp_path / 'killed'
  steps = []
  for _ in range(20):
    process = _start(killed, override, '--mode=train')
    time.sleep(moments.uniform(0, 2 * start_seconds))
    process.kill()
    _end(process)
    steps.append(checkpoint.latest_step(str(killed)))
  code, output = _end(_start(killed, override, '--mode=train'))
  assert code == 0, output
  print('steps', steps)
  assert steps == sorted(steps)
  # Each start goes on from what was saved, and nobody went back.
  entries = _history(killed)
  started = [e['step'] for e in entries if e['event'] == 'start']
  assert started == sorted(started) and set(started) <= {0, *steps}
  assert (entries[-1]['why'], entries[-1]['step']) == ('finished', 120)
  names = os.listdir(str(killed))
  assert [name for name in names if not _WHOLE.fullmatch(name)] == []
  for prefix in checkpoint.find_all(str(killed)):
    checkpoint.check_intact(prefix)
  _assert_same_bits(killed, tmp_path / 'unbroken')


def _stop_at(place, model_dir, override, seconds, patience):
  """Sends SIGTERM where the program says that it is at a place."""
  process = _start(
    model_dir,
    override,
    place,
    '--mode=train_and_eval',
    program=_SLOW.format(seconds=seconds, patience=patience),
  )
  for line in process.stdout:
    if line == 'HERE\n':
      break
  process.send_signal(signal.SIGTERM)
  begin = time.monotonic()
  code, output = _end(process)
  assert code == 128 + signal.SIGTERM, output
  return time.monotonic() - begin


@pytest.mark.slow
@pytest.mark.parametrize(
  'place,seconds,patience,step',
  # Nothing is lost before the first step, and an evaluation is made up for.
  [('build', 60, 12, 0), ('evaluation', 60, 12, 2), ('save', 8, 1, 2)],
)
def test_sigterm_ends_a_run_soon_wherever_it_is(
  tmp_path, place, seconds, patience, step
):
  override = tiny_run.overrides(
    tiny_run.write_data(tmp_path),
    {
      'train': {'total_steps': 4, 'save_checkpoint_seconds': 0},
      'eval': {'num_steps_per_eval': 2},
    },
  )
  model_dir = tmp_path / 'model'
  assert _stop_at(place, model_dir, override, seconds, patience) < 30
  assert checkpoint.latest_step(str(model_dir)) == step
  code, output = _end(_start(model_dir, override, '--mode=train_and_eval'))
  assert code == 0, output
  evaluated = report.read_history(str(model_dir / 'eval'))
  assert [entry['step'] for entry in evaluated] == [2, 4]
