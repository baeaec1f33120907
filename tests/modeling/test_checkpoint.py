"""Which checkpoint is the latest, and whether it fits."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import checkpoint
from modeling.training import optimizers
from tests import checkpoint_factory
from utils import errors

_DATA = '.data-00000-of-00001'


def test_nothing_is_found_where_nothing_is(tmp_path):
  assert checkpoint.find_latest(str(tmp_path)) is None
  assert checkpoint.find_latest(str(tmp_path / 'absent')) is None
  # What a kill in the first save may leave.
  (tmp_path / ('model.ckpt-0' + _DATA)).touch()
  assert checkpoint.find_latest(str(tmp_path)) is None


@pytest.mark.parametrize('rest', ['checkpoint', 'model.ckpt-10' + _DATA])
def test_parts_of_a_run_are_not_a_new_run(tmp_path, rest):
  (tmp_path / rest).write_text('model_checkpoint_path: "model.ckpt-10"')
  with pytest.raises(errors.UserError, match='parts of one: ' + rest):
    checkpoint.find_latest(str(tmp_path))


def test_checkpoints_appear(tmp_path):
  appearing = checkpoint.appearing(str(tmp_path), 0, 0)
  assert list(appearing) == []
  checkpoint_factory.save_values(tmp_path, {'a': [1.0]}, step=1)
  appearing = checkpoint.appearing(str(tmp_path), 0, 0)
  assert next(appearing).endswith('model.ckpt-1')
  checkpoint_factory.save_values(tmp_path, {'a': [1.0]}, step=5)
  assert [os.path.basename(path) for path in appearing] == ['model.ckpt-5']


def test_directory_means_its_latest_checkpoint(tmp_path):
  path = checkpoint_factory.save_values(tmp_path, {'a': [1.0]}, step=7)
  assert checkpoint.resolve_checkpoint(str(tmp_path)) == path
  assert path.endswith('model.ckpt-7')


@pytest.mark.parametrize(
  'ending', ['', '.index', '.meta', '.data-00000-of-00001']
)
def test_a_file_of_a_checkpoint_stands_for_it(tmp_path, ending):
  path = checkpoint_factory.save_values(tmp_path, {'a': [1.0]})
  assert os.path.exists(path + (ending or '.index'))
  assert checkpoint.resolve_checkpoint(path + ending) == path


@pytest.mark.parametrize('make_directory', [True, False])
def test_missing_checkpoint_is_named(tmp_path, make_directory):
  path = tmp_path / 'nothing'
  if make_directory:
    path.mkdir()
  with pytest.raises(errors.UserError, match=str(path)):
    checkpoint.resolve_checkpoint(str(path))


def test_resuming_another_architecture_is_refused(tmp_path):
  checkpoint_factory.save_values(
    tmp_path, {'resnet18/conv2d/kernel': np.ones([2, 2])}, step=5
  )
  with tf.Graph().as_default():
    same = [checkpoint_factory.variable('resnet18/conv2d/kernel', [2, 2])]
    checkpoint.check_resumable(str(tmp_path), same)
    other = [checkpoint_factory.variable('resnet50/conv2d/kernel', [2, 2])]
    with pytest.raises(errors.UserError) as info:
      checkpoint.check_resumable(str(tmp_path), other)
  assert 'another architecture' in str(info.value)
  assert 'resnet50/conv2d/kernel: absent there' in str(info.value)


def test_restoring_another_architecture_is_refused(tmp_path):
  path = checkpoint_factory.save_values(
    tmp_path, {'a': np.ones([2, 2]), 'b': np.ones([2])}
  )
  with tf.Graph().as_default():
    same = [checkpoint_factory.variable('a', [2, 2])]
    checkpoint.check_restorable(path, same)
    other = [
      checkpoint_factory.variable('b', [3]),
      checkpoint_factory.variable('c', [1]),
    ]
    with pytest.raises(errors.UserError) as info:
      checkpoint.check_restorable(path, same + other)
  message = str(info.value)
  assert f"'{path}' is of another architecture: 2 of 3" in message
  assert 'b: [3] here, [2] there\n  c: absent there' in message
  with tf.Graph().as_default(), pytest.raises(
    checkpoint.UnreadableCheckpointError
  ):
    checkpoint.check_restorable(
      str(tmp_path / 'gone'), [checkpoint_factory.variable('a', [1])]
    )


def test_fresh_model_dir_is_resumable(tmp_path):
  with tf.Graph().as_default():
    checkpoint.check_resumable(
      str(tmp_path), [checkpoint_factory.variable('a', [1])]
    )
    checkpoint.check_resumable(None, [])


def test_mixed_precision_does_not_continue_a_run_without(tmp_path):
  checkpoint.check_has_loss_scale(str(tmp_path))
  with tf.Graph().as_default(), tf.Session() as session:
    optimizers.with_loss_scale(tf.train.AdamOptimizer())
    checkpoint_factory.variable('conv2d/kernel', [4])
    session.run(tf.global_variables_initializer())
    saver = tf.train.Saver()
    saver.save(session, str(tmp_path / 'model.ckpt-1'))
    checkpoint.check_has_loss_scale(str(tmp_path))
    saver = tf.train.Saver(tf.trainable_variables())
    saver.save(session, str(tmp_path / 'model.ckpt-2'))
  with pytest.raises(errors.ConfigError) as info:
    checkpoint.check_has_loss_scale(str(tmp_path))
  assert str(info.value).startswith('train.mixed_precision: true ')
  assert 'model.ckpt-2 (train.checkpoint.path)' in str(info.value)
