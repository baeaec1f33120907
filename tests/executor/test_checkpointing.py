"""Checkpoints at the start, at intervals, and at the end; never spoilt ones."""

import os
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from executor import checkpointing
from modeling import checkpoint
from modeling.training import finite_loss
from utils import errors


def _model_fn(features, labels, mode):
  """Adds `features` to a weight in each step."""
  del labels
  weight = tf.get_variable('weight', [], initializer=tf.zeros_initializer())
  step = tf.train.get_or_create_global_step()
  with tf.control_dependencies([weight.assign_add(features)]):
    train_op = tf.assign_add(step, 1)
  return tf.estimator.EstimatorSpec(mode, loss=weight, train_op=train_op)


def _train(directory, values, listeners=(), **config):
  """A run of one step a value, saving after each."""
  estimator = tf.estimator.Estimator(
    _model_fn, directory, tf.estimator.RunConfig(**config)
  )
  hook = checkpointing.CheckpointHook(
    directory,
    save_secs=1e-9,
    listeners=[finite_loss.FiniteVariablesListener(), *listeners],
  )

  def dataset():
    return tf.data.Dataset.from_tensor_slices(np.float32(values))

  estimator.train(dataset, hooks=[hook])


def _saved_steps(directory):
  state = tf.train.get_checkpoint_state(directory)
  return [int(p.split('-')[-1]) for p in state.all_model_checkpoint_paths]


def test_saves_at_start_between_and_end(tmp_path):
  _train(str(tmp_path), [1, 2, 3])
  assert _saved_steps(str(tmp_path)) == [0, 1, 2, 3]
  for step, weight in enumerate([0, 1, 3, 6]):
    path = str(tmp_path / f'model.ckpt-{step}')
    assert tf.train.load_variable(path, 'weight') == weight
    assert os.path.exists(path + '.meta') == (step > 0)
  assert not (tmp_path / 'graph.pbtxt').exists()


def test_resumed_run_goes_on_from_the_last_checkpoint(tmp_path):
  _train(str(tmp_path), [1, 2])
  _train(str(tmp_path), [4])
  path = tf.train.latest_checkpoint(str(tmp_path))
  assert path.endswith('model.ckpt-3')
  assert tf.train.load_variable(path, 'weight') == 7


def test_what_was_restored_is_not_written_again(tmp_path):
  _train(str(tmp_path), [1])
  path = tmp_path / 'model.ckpt-1.data-00000-of-00001'
  before = path.stat().st_ino
  _train(str(tmp_path), [4])
  assert path.stat().st_ino == before


@pytest.mark.parametrize('is_deleted', [False, True])
def test_a_save_that_fails_is_told_and_leaves_nothing(
  tmp_path, monkeypatch, is_deleted
):
  _train(str(tmp_path), [1])
  names = set(os.listdir(str(tmp_path)))
  save = tf.train.Saver.save

  def fail(saver, session, path, global_step, **kwargs):
    save(saver, session, path, global_step, write_state=False, **kwargs)
    prefix = f'{path}-{global_step}'
    os.truncate(prefix + '.index', 9)
    os.mkdir(prefix + '_temp_0a')
    if is_deleted:
      shutil.rmtree(str(tmp_path))
    # As for a file that is too large; a session takes it for the end of data.
    raise tf.errors.OutOfRangeError(None, None, '/part; File too large')

  monkeypatch.setattr(tf.train.Saver, 'save', fail)
  told = 'was deleted or moved' if is_deleted else "'/part': File too large"
  with pytest.raises(errors.UserError, match=told):
    _train(str(tmp_path), [4])
  if not is_deleted:
    left = set(os.listdir(str(tmp_path)))
    assert {n for n in left - names if 'events' not in n} == set()
    assert names <= left


def test_only_the_newest_are_kept(tmp_path):
  _train(str(tmp_path), [1, 2, 3, 4], keep_checkpoint_max=2)
  assert _saved_steps(str(tmp_path)) == [3, 4]
  assert len(list(tmp_path.glob('model.ckpt-*.index'))) == 2


def test_one_of_so_many_hours_stays_however_often_a_run_is_started(tmp_path):
  begin = 1600000000
  directory = tmp_path / 'run'
  directory.mkdir()
  (directory / 'history.jsonl').write_text(
    '{"event": "start", "time": "2020-09-13T12:26:40Z"}\n'
  )
  for step in range(1, 10):
    keep = checkpointing.KeepListener(str(directory), hours=1.0)
    _train(
      str(directory),
      [1],
      [keep],
      keep_checkpoint_max=2,
      keep_checkpoint_every_n_hours=1.0,
    )
    for prefix in checkpoint.find_all(str(directory)):
      saved = begin + checkpoint.step_of(prefix) * 1801
      os.utime(prefix + '.index', (saved, saved))
    if step == 5:
      # Nothing refers to where it was.
      moved = tmp_path / 'moved'
      directory.rename(moved)
      directory = moved
  found = checkpoint.find_all(str(directory))
  assert [checkpoint.step_of(path) for path in found] == [2, 4, 6, 8, 9]
  assert _saved_steps(str(directory)) == [8, 9]
  assert '/' not in (directory / 'checkpoint').read_text()


def test_spoilt_weights_are_not_saved(tmp_path):
  with pytest.raises(finite_loss.BlowUpError, match='after step 2'):
    _train(str(tmp_path), [1, np.inf, 1])
  path = tf.train.latest_checkpoint(str(tmp_path))
  assert path.endswith('model.ckpt-1')
  assert tf.train.load_variable(path, 'weight') == 1
