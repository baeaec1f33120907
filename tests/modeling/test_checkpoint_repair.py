"""What a training goes on from where files are lost, damaged or moved."""

import os
import re
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import checkpoint, checkpoint_repair, checkpoint_state
from tests import checkpoint_factory

_DATA = '.data-00000-of-00001'


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """A directory with the checkpoints of steps 2, 4 and 10."""
  directory = tmp_path_factory.mktemp('saved')
  with tf.Graph().as_default(), tf.Session() as session:
    tf.get_variable('weight', initializer=np.arange(1000, dtype=np.float32))
    session.run(tf.global_variables_initializer())
    saver = tf.train.Saver()
    for step in (2, 4, 10):
      saver.save(session, str(directory / 'model.ckpt'), step)
  return directory


@pytest.fixture
def run(saved, tmp_path):
  """A copy elsewhere, whose file `checkpoint` names the first directory."""
  return shutil.copytree(str(saved), str(tmp_path / 'run')) and tmp_path / 'run'


def _lines(caplog):
  return [
    record.getMessage()
    for record in caplog.records
    if record.name == checkpoint_repair.__name__
  ]


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
  checkpoint_repair.prepare(str(run))
  # What estimators restore.
  assert tf.train.latest_checkpoint(str(run)) == path
  lines = _lines(caplog)
  assert len(lines) == (warning is not None)
  assert (warning or '') in ''.join(lines)
  # Names alone, so that another move changes nothing.
  if warning is None or 'newest' in warning or step == 4:
    assert '/' not in (run / 'checkpoint').read_text()


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
def test_damage_is_set_aside_and_the_newest_whole_one_taken(
  run, caplog, damage, ending
):
  damage(run / f'model.ckpt-10{ending}')
  _cut(run / ('model.ckpt-4' + _DATA), 9)
  kept = {path.name for path in run.glob('model.ckpt-[14]*')}
  # Nobody but a training moves anything.
  with pytest.raises(checkpoint.UnreadableCheckpointError) as info:
    checkpoint.check_intact(str(run / 'model.ckpt-10'))
  whole = run / 'model.ckpt-2'
  assert f"name '{whole}', which is intact" in str(info.value)
  checkpoint_repair.prepare(str(run))
  assert checkpoint.find_latest(str(run)) == str(whole)
  assert tf.train.latest_checkpoint(str(run)) == str(whole)
  assert set(os.listdir(str(run / 'damaged'))) == kept
  assert not list(run.glob('model.ckpt-[14]*'))
  first, *others = _lines(caplog)
  assert first.startswith(f"'{run}/model.ckpt-10' is damaged (")
  assert f"goes on from '{whole}'" in first
  assert f"kept as '{run}/damaged/model.ckpt-10.*'" in first
  assert len(others) == 1 and 'model.ckpt-4' in others[0]


def test_what_is_set_aside_already_stays(run, saved):
  for _ in range(2):
    _cut(run / ('model.ckpt-10' + _DATA), 9)
    checkpoint_repair.prepare(str(run))
    for path in saved.glob('model.ckpt-10.*'):
      shutil.copy(str(path), str(run))
    (run / 'checkpoint').unlink()
  found = checkpoint.find_all(str(run / 'damaged'))
  names = [os.path.basename(path) for path in found]
  assert names == ['again-model.ckpt-10', 'model.ckpt-10']


def test_where_nothing_is_whole_nothing_is_moved(run):
  for step in (2, 4, 10):
    _cut(run / f'model.ckpt-{step}{_DATA}', 9)
  before = sorted(os.listdir(str(run)))
  with pytest.raises(checkpoint.UnreadableCheckpointError, match='no older'):
    checkpoint_repair.prepare(str(run))
  assert sorted(os.listdir(str(run))) == before


def test_a_person_who_went_back_is_not_taken_forward(run):
  _edit_state('model.ckpt-4')(run)
  _cut(run / ('model.ckpt-4' + _DATA), 9)
  checkpoint_repair.prepare(str(run))
  assert checkpoint.latest_step(str(run)) == 2


def test_a_whole_checkpoint_is_read_once(run, monkeypatch):
  read = []
  damage_of = checkpoint.damage_of
  monkeypatch.setattr(
    checkpoint, 'damage_of', lambda path: read.append(path) or damage_of(path)
  )
  checkpoint_repair.prepare(str(run))
  with tf.Graph().as_default():
    checkpoint.check_resumable(
      str(run), [checkpoint_factory.variable('weight', [1000])]
    )
  assert read == [str(run / 'model.ckpt-10')]


def test_leftovers_of_killed_saves_are_removed(run):
  names = set(os.listdir(str(run)))
  directory = run / ('model.ckpt-12_temp_' + '0a' * 16)
  directory.mkdir()
  (directory / 'part-00000-of-00001').touch()
  (run / ('checkpoint.tmp' + '0a' * 16)).touch()
  (run / ('model.ckpt-12.meta.tmp' + '0a' * 16)).touch()
  (run / 'averages-model.ckpt-12.index.tempstate123').touch()
  (run / 'history.jsonl.tmp12').touch()
  for name in ('history.1234.jsonl', 'training.1234.lock', 'checkpoint.1234'):
    (run / f'.{name}').touch()
  # Others may be writing at this moment.
  others = {'notes.tmp', '.predictions.1234.json', '.cache.1'}
  for name in others:
    (run / name).touch()
  checkpoint_repair.remove_leftovers(str(run))
  assert set(os.listdir(str(run))) == names | others


def test_a_checkpoint_that_was_kept_for_good_stays_so(run):
  state = checkpoint_state
  state.write(str(run / 'model.ckpt-10'), ['model.ckpt-4', 'model.ckpt-10'])
  for step in (4, 10):
    _cut(run / f'model.ckpt-{step}{_DATA}', 9)
  checkpoint_repair.prepare(str(run))
  assert checkpoint.latest_step(str(run)) == 2
  assert 'model.ckpt-2' not in state.listed(str(run))
  # Without the file nobody knows which may go.
  (run / 'checkpoint').unlink()
  checkpoint_repair.prepare(str(run))
  assert checkpoint.latest_step(str(run)) == 2
  assert state.listed(str(run)) == []
