"""Trainings that go on after their loss or weights have blown up."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from executor import blow_ups, run_history, training
from modeling import checkpoint
from modeling.training import finite_loss
from tests import programs, tiny_run
from utils import errors


@pytest.fixture(autouse=True)
def _whole(monkeypatch):
  """Checkpoints are as good as real ones."""
  monkeypatch.setattr(checkpoint, 'damage_of', lambda prefix: None)


def _lines(model_dir, name='skipped_batches.jsonl'):
  with open(os.path.join(str(model_dir), name)) as source:
    return [json.loads(line) for line in source]


def _of_run(tmp_path, tries=3):
  params = tiny_run.resolve(
    tmp_path,
    'set.tfrecord',
    {
      'train': {
        'recover_from_blow_ups': tries,
        'blow_up_learning_rate_factor': 0.5,
      }
    },
  )
  return blow_ups.BlowUps(params, run_history.RunHistory(params))


def _save(tmp_path, *steps):
  """Checkpoints of these steps, the last of which is the latest."""
  prefixes = [str(tmp_path / f'model.ckpt-{step}') for step in steps]
  for prefix in prefixes:
    with open(prefix + '.index', 'w'):
      pass
  tf.train.update_checkpoint_state(str(tmp_path), prefixes[-1], prefixes)


def _error(step, loss=float('nan')):
  return finite_loss.BlowUpError('It blew up.', 'Help.', step=step, loss=loss)


def _batches(*steps):
  batches = finite_loss.RecentBatches()
  for step in steps:
    batches.add(step, np.array([10 * step, 10 * step + 1]))
  return batches


def test_batches_are_left_out_and_rates_fall(tmp_path, caplog):
  run = _of_run(tmp_path)
  _save(tmp_path, 0, 10)
  assert run.current() == (0, 0, 0, 1.0)
  run.recover(_error(12), _batches(9, 10, 11, 12))
  assert run.current() == (10, 1, 3, 0.5)
  (line,) = _lines(tmp_path)
  del line['time']
  assert line == {
    **run.current()._asdict(),
    'why': 'It blew up.',
    'blow_up_step': 13,
    'loss': None,
    'first_batch': 10,
    'last_batch': 12,
    'image_ids': {'10': [100, 101], '11': [110, 111], '12': [120, 121]},
  }
  assert (
    'It blew up. Training goes back to step 10, leaves out 3 batches, and has '
    'learning rates times 0.5 from there on; tries left: 2.'
  ) in caplog.text
  # Again, from the same checkpoint, which is good: it has trained.
  run.recover(_error(11, 7.5), _batches(10, 11))
  assert run.current() == (10, 2, 5, 0.25)
  line = _lines(tmp_path)[-1]
  assert (line['first_batch'], line['last_batch']) == (13, 14)
  assert line['image_ids'] == {'13': [100, 101], '14': [110, 111]}
  assert line['loss'] == 7.5
  # And from a later one, where weights tell nothing of the loss.
  _save(tmp_path, 0, 10, 20)
  run.recover(_error(20, None), finite_loss.RecentBatches())
  assert run.current() == (20, 3, 6, 0.125)
  assert _lines(tmp_path)[-1]['image_ids'] == {}
  events = _lines(tmp_path, 'history.jsonl')
  assert [e['event'] for e in events] == 3 * ['recovery']
  with pytest.raises(finite_loss.BlowUpError, match='Help. All 3 tries of'):
    run.recover(_error(25), _batches(25))
  assert len(_lines(tmp_path)) == 3


def test_without_tries_nothing_is_done(tmp_path):
  _save(tmp_path, 0)
  error = _error(3)
  with pytest.raises(finite_loss.BlowUpError) as info:
    _of_run(tmp_path, tries=0).recover(error, _batches(3))
  assert info.value is error and str(error) == 'It blew up. Help.'
  assert not (tmp_path / 'skipped_batches.jsonl').exists()


def test_a_checkpoint_that_only_gave_this_loss_is_not_good(tmp_path):
  run = _of_run(tmp_path)
  _save(tmp_path, 0, 10, 20)
  run.recover(_error(20), _batches(10, 15, 20))
  assert checkpoint.latest_step(str(tmp_path)) == 10
  assert run.current() == (10, 1, 11, 0.5)
  assert len(_lines(tmp_path)[0]['image_ids']) == 3
  # One recovery goes back behind another: what that left out stays so.
  run.recover(_error(10), _batches(10))
  assert run.current() == (0, 2, 22, 0.25)
  line = _lines(tmp_path)[-1]
  assert (line['first_batch'], line['last_batch']) == (0, 21)
  # There is none before.
  run.recover(_error(0), _batches(0))
  assert run.current() == (0, 3, 23, 0.125)


def test_only_a_whole_checkpoint_is_gone_back_to(tmp_path, monkeypatch):
  run = _of_run(tmp_path)
  _save(tmp_path, 0, 10, 20)
  monkeypatch.setattr(
    checkpoint,
    'damage_of',
    lambda path: 'torn' if path.endswith('-10') else None,
  )
  run.recover(_error(20), _batches(20))
  assert run.current() == (0, 1, 21, 0.5)


def test_an_older_checkpoint_undoes_later_recoveries(tmp_path, caplog):
  run = _of_run(tmp_path)
  _save(tmp_path, 0, 10)
  run.recover(_error(12), _batches(12))
  _save(tmp_path, 0, 10, 30)
  run.recover(_error(31), _batches(31))
  assert run.current() == (30, 2, 5, 0.25)
  # A person goes back to between the two.
  _save(tmp_path, 30, 20)
  assert run.current() == (20, 1, 3, 0.5)
  assert 'at step 20, before the recovery at step 30. It is undone' in (
    caplog.text
  )
  # That counts also beyond.
  _save(tmp_path, 20, 40)
  assert run.current() == (20, 1, 3, 0.5)
  assert len(_lines(tmp_path)) == 3
  # Nor does anything hold for a training that starts afresh.
  for path in tmp_path.glob('*ckpt*'):
    path.unlink()
  (tmp_path / 'checkpoint').unlink()
  assert run.current() == (0, 0, 0, 1.0)
  _save(tmp_path, 50)
  assert run.current() == (0, 0, 0, 1.0)


@pytest.mark.parametrize('text', ['{', '[]', '{"step": 1}', '{"step": "x"}'])
def test_a_damaged_file_is_named(tmp_path, text):
  (tmp_path / 'skipped_batches.jsonl').write_text(text)
  with pytest.raises(errors.DataError, match='batches.jsonl.* is damaged'):
    _of_run(tmp_path).current()


def _main(directory, *flags, script='tests/executor/poisoned_main.py', **train):
  """Runs a program that trains on the tiny data set."""
  path = directory / 'params.json'
  records = str(directory / 'set.tfrecord')
  if not os.path.exists(records):
    tiny_run.write_data(directory)
  path.write_text(json.dumps(tiny_run.overrides(records, {'train': train})))
  return programs.run(script, f'--params_override={path}', *flags)


def test_training_starts_again(tmp_path, monkeypatch):
  params = tiny_run.resolve(
    tmp_path, 'set.tfrecord', {'train': {'recover_from_blow_ups': 1}}
  )
  trainer = training.Trainer(params)
  _save(tmp_path, 0, 10)
  asked = []

  def train(hardware, last_step, batches):
    asked.append((hardware, last_step))
    batches.add(12, np.array([7]))
    if len(asked) == 1:
      raise _error(12)

  monkeypatch.setattr(trainer, '_train', train)
  trainer.train('a CPU', 20)
  assert asked == 2 * [('a CPU', 20)]
  assert _lines(tmp_path)[0]['image_ids'] == {'12': [7]}


@pytest.mark.slow
def test_a_poisoned_record_is_left_out(tmp_path):
  done = _main(
    tmp_path,
    f'--model_dir={tmp_path}/model',
    total_steps=6,
    train_batch_size=1,
    recover_from_blow_ups=1,
  )
  assert done.returncode == 0, done.stderr
  (line,) = _lines(tmp_path / 'model')
  last = line['last_batch']
  assert (line['step'], line['first_batch']) == (0, 0)
  assert line['left_out'] == last + 1 and line['image_ids'][str(last)] == [103]
  assert 'not finite at step {}: box_loss'.format(last + 1) in done.stderr
  assert f'goes back to step 0, leaves out {last + 1} batches' in done.stderr
  assert 'step 6/6' in done.stderr and 'lr 0.00500' in done.stderr
  history = _lines(tmp_path / 'model', 'history.jsonl')
  assert [e['event'] for e in history] == ['start', 'recovery', 'end']
  assert history[-1]['step'] == 6


@pytest.mark.slow
def test_a_run_that_is_resumed_after_a_recovery_ends_as_an_unbroken_one(
  tmp_path,
):
  train = {
    'train_batch_size': 1,
    'recover_from_blow_ups': 2,
    'save_checkpoint_seconds': 0,
  }
  for name, stops in (('unbroken', [8]), ('resumed', [6, 8])):
    for stop in stops:
      done = _main(
        tmp_path,
        f'--model_dir={tmp_path}/{name}',
        f'--train_steps={stop}',
        **train,
      )
      assert done.returncode == 0, done.stderr
  ends = [
    tf.train.load_checkpoint(str(tmp_path / name / 'model.ckpt-8'))
    for name in ('unbroken', 'resumed')
  ]
  lines = [_lines(tmp_path / name) for name in ('unbroken', 'resumed')]
  for line in (*lines[0], *lines[1]):
    del line['time']
  assert lines[0] == lines[1] and lines[0][0]['step'] < 6
  for name in ends[0].get_variable_to_shape_map():
    np.testing.assert_array_equal(*[end.get_tensor(name) for end in ends])


@pytest.mark.slow
def test_an_absurd_learning_rate_of_one_step(tmp_path):
  rates = {
    **tiny_run.overrides('')['train']['learning_rate'],
    'learning_rate_levels': [1e30, 0.001],
    'learning_rate_steps': [4, 5],
  }
  train = {
    'total_steps': 8,
    'learning_rate': rates,
    'save_checkpoint_seconds': 0,
    'blow_up_learning_rate_factor': 1e-32,
  }
  for tries in (0, 1):
    done = _main(
      tmp_path,
      f'--model_dir={tmp_path}/{tries}',
      script='main.py',
      recover_from_blow_ups=tries,
      **train,
    )
    # The update of step 4 was saved before step 5 showed what it did.
    assert 'not finite at step 6' in done.stderr
    assert (done.returncode == 0) == (tries == 1), done.stderr
  assert not (tmp_path / '0' / 'skipped_batches.jsonl').exists()
  assert 'skipped' not in done.stderr
  (line,) = _lines(tmp_path / '1')
  assert (line['step'], line['first_batch'], line['last_batch']) == (4, 4, 5)
  assert checkpoint.latest_step(str(tmp_path / '1')) == 8
  weights = tf.train.load_checkpoint(str(tmp_path / '1' / 'model.ckpt-8'))
  for name in weights.get_variable_to_shape_map():
    assert np.abs(weights.get_tensor(name)).max() < 1e4
