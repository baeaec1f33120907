"""Which checkpoint a run goes on from, and which ones cannot be read."""

import os
import re
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import checkpoint
from modeling.training import optimizers
from tests import checkpoint_factory
from utils import errors

_DATA = '.data-00000-of-00001'


def _save(directory, *steps):
  with tf.Graph().as_default(), tf.Session() as session:
    tf.get_variable('weight', initializer=np.arange(1000, dtype=np.float32))
    session.run(tf.global_variables_initializer())
    saver = tf.train.Saver()
    for step in steps:
      saver.save(session, str(directory / 'model.ckpt'), step)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """A directory with the checkpoints of steps 2, 4 and 10."""
  directory = tmp_path_factory.mktemp('saved')
  _save(directory, 2, 4, 10)
  return directory


@pytest.fixture
def run(saved, tmp_path):
  """A copy elsewhere, whose file `checkpoint` names the first directory."""
  return shutil.copytree(str(saved), str(tmp_path / 'run')) and tmp_path / 'run'


def _edit_state(text):
  def edit(run):
    state = (run / 'checkpoint').read_text()
    name = re.compile('model.ckpt-10')
    (run / 'checkpoint').write_text(name.sub(text, state, count=1))

  return edit


def _delete(*steps):
  def delete(run):
    for step in steps:
      for path in run.glob(f'model.ckpt-{step}.*'):
        path.unlink()

  return delete


@pytest.mark.parametrize(
  'change,step,warning',
  [
    (lambda run: None, 10, None),
    (lambda run: (run / 'checkpoint').unlink(), 10, 'the newest checkpoint'),
    (lambda run: (run / 'checkpoint').write_text(''), 10, 'the newest'),
    (
      lambda run: (run / 'checkpoint').write_bytes(b'\xff\x00' * 9),
      10,
      'the newest checkpoint',
    ),
    (_edit_state('model.ckpt-99'), 10, 'the newest checkpoint'),
    (_edit_state('model.ckpt-2'), 2, 'replace newer ones, up to model.ckpt-10'),
    (_delete(10), 4, 'goes on from model.ckpt-4'),
  ],
  ids=['moved', 'lost', 'empty', 'garbage', 'missing', 'gone back', 'deleted'],
)
def test_the_directory_decides_what_is_restored(
  run, caplog, change, step, warning
):
  change(run)
  path = str(run / f'model.ckpt-{step}')
  assert checkpoint.find_latest(str(run)) == path
  checkpoint.prepare(str(run))
  # What estimators restore.
  assert tf.train.latest_checkpoint(str(run)) == path
  lines = [
    record.getMessage()
    for record in caplog.records
    if record.name == checkpoint.__name__
  ]
  assert len(lines) == (warning is not None)
  assert (warning or '') in ''.join(lines)


def test_nothing_is_found_where_nothing_is(tmp_path):
  assert checkpoint.find_latest(str(tmp_path)) is None
  assert checkpoint.find_latest(str(tmp_path / 'absent')) is None
  checkpoint.prepare(str(tmp_path))
  # What a kill in the first save may leave.
  (tmp_path / ('model.ckpt-0' + _DATA)).touch()
  assert checkpoint.find_latest(str(tmp_path)) is None


@pytest.mark.parametrize('rest', ['checkpoint', 'model.ckpt-10' + _DATA])
def test_parts_of_a_run_are_not_a_new_run(run, rest):
  for path in run.iterdir():
    if path.name != rest:
      path.unlink()
  if rest == 'checkpoint':
    (run / rest).write_text('model_checkpoint_path: "model.ckpt-10"')
  with pytest.raises(errors.UserError, match='parts of one: ' + rest):
    checkpoint.find_latest(str(run))


def _cut(path, size):
  with open(str(path), 'r+b') as f:
    f.truncate(size)


def _flip(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(bytes(content))


@pytest.mark.parametrize('ending', [_DATA, '.index'])
@pytest.mark.parametrize(
  'damage',
  [
    lambda path: _cut(path, 100),
    lambda path: _cut(path, 0),
    _flip,
    lambda path: path.unlink(),
  ],
  ids=['cut', 'empty', 'flipped', 'absent'],
)
def test_damage_names_the_intact_one(run, damage, ending):
  path = run / 'model.ckpt-10'
  damage(run / (path.name + ending))
  _cut(run / ('model.ckpt-4' + _DATA), 9)
  with pytest.raises(checkpoint.UnreadableCheckpointError) as info:
    checkpoint.prepare(str(run))
  assert str(info.value).startswith(f"The checkpoint '{path}' cannot be read: ")
  assert "name '{}', which is intact".format(run / 'model.ckpt-2') in str(
    info.value
  )


def test_leftovers_of_killed_saves_are_removed(run):
  names = set(os.listdir(str(run)))
  directory = run / ('model.ckpt-12_temp_' + '0a' * 16)
  directory.mkdir()
  (directory / 'part-00000-of-00001').touch()
  (run / ('checkpoint.tmp' + '0a' * 16)).touch()
  (run / ('model.ckpt-12.meta.tmp' + '0a' * 16)).touch()
  (run / '.history.1234.jsonl').touch()
  (run / 'notes.tmp').touch()
  checkpoint.remove_leftovers(str(run))
  assert set(os.listdir(str(run))) == names | {'notes.tmp'}


def test_checkpoints_appear(tmp_path):
  appearing = checkpoint.appearing(str(tmp_path), 0, 0)
  assert list(appearing) == []
  _save(tmp_path, 1)
  appearing = checkpoint.appearing(str(tmp_path), 0, 0)
  assert next(appearing).endswith('model.ckpt-1')
  _save(tmp_path, 5)
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
