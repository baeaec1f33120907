"""The best checkpoint: which one is kept, and that it is whole at any time."""

import json
import os
import types

import pytest
import tensorflow.compat.v1 as tf

from executor import best_checkpoint
from modeling import checkpoint, checkpoint_copy


@pytest.fixture
def save(tmp_path):
  """A function that saves a checkpoint of a step, whose weight is the step."""
  (tmp_path / 'params.yaml').write_text('type: retinanet\n')

  def make(step):
    with tf.Graph().as_default(), tf.Session() as session:
      weight = tf.get_variable('weight', [], initializer=tf.zeros_initializer())
      session.run(weight.assign(step))
      prefix = str(tmp_path / 'model.ckpt')
      return tf.train.Saver().save(session, prefix, global_step=step)

  return make


def _best(model_dir, metric='AP', suffix=''):
  settings = types.SimpleNamespace(best_metric=metric, suffix=suffix)
  params = types.SimpleNamespace(model_dir=str(model_dir), eval=settings)
  return best_checkpoint.BestCheckpoint(params)


def _kept(directory):
  """Weight of the checkpoint that a program would take."""
  prefix = checkpoint.resolve_checkpoint(str(directory))
  checkpoint.check_intact(prefix)
  return tf.train.load_variable(prefix, 'weight')


@pytest.mark.parametrize('is_gone', [True, False])
def test_one_that_is_deleted_meanwhile_does_not_replace_it(
  tmp_path, save, caplog, is_gone
):
  best = _best(tmp_path)
  best.offer({'AP': 0.2}, save(1))
  prefix = save(2)
  for path in checkpoint.files_of(prefix):
    if is_gone or path.endswith('.index'):
      os.remove(path)
  best.offer({'AP': 0.5}, prefix)
  assert _kept(tmp_path / 'best') == 1 and best.read()['value'] == 0.2
  assert 'model.ckpt-2' not in ''.join(os.listdir(str(tmp_path / 'best')))
  assert 'AP 0.5, but was deleted' in caplog.text


def test_the_best_stays(tmp_path, save):
  best = _best(tmp_path)
  for step, value in ((1, 0.2), (2, 0.5), (3, 0.4), (4, float('nan'))):
    best.offer({'AP': value, 'loss': step}, save(step))
  assert _kept(tmp_path / 'best') == 2
  about = json.loads((tmp_path / 'best' / 'best.json').read_text())
  assert about.pop('time').endswith('Z')
  assert about == {
    'metric': 'AP',
    'value': 0.5,
    'step': 2,
    'checkpoint': 'model.ckpt-2',
    'metrics': {'AP': 0.5, 'loss': 2.0},
  }
  names = os.listdir(str(tmp_path / 'best'))
  assert sum(name.endswith('.index') for name in names) == 1
  prefix = checkpoint.resolve_checkpoint(str(tmp_path / 'best'))
  assert checkpoint.config_beside(prefix, None).endswith('best/params.yaml')
  # The same run, started again.
  _best(tmp_path).offer({'AP': 0.45}, save(5))
  assert _kept(tmp_path / 'best') == 2


def test_smaller_may_be_better_and_suffixes_are_apart(tmp_path, save):
  for step, value in ((1, 0.5), (2, 0.2), (3, 0.4)):
    _best(tmp_path, '-loss', '_b').offer({'loss': value}, save(step))
  assert _kept(tmp_path / 'best_b') == 2
  assert not (tmp_path / 'best').exists()


def test_another_metric_starts_anew(tmp_path, save):
  _best(tmp_path).offer({'AP': 0.9, 'AP50': 0.9}, save(1))
  _best(tmp_path, 'AP50').offer({'AP': 0.1, 'AP50': 0.1}, save(2))
  assert _kept(tmp_path / 'best') == 2


def test_unknown_metric_is_told_and_nothing_kept(tmp_path, save, caplog):
  _best(tmp_path, 'AP5').offer({'AP50': 0.9, 'loss': 1.0}, save(1))
  assert "eval.best_metric: 'AP5' is none of the metrics (AP50, loss)" in (
    caplog.text
  )
  assert "Did you mean 'AP50'?" in caplog.text
  assert not (tmp_path / 'best').exists()


@pytest.mark.parametrize('killed_in', ['copy', 'write_json', 'keep_only'])
def test_killed_while_it_keeps_one(tmp_path, save, monkeypatch, killed_in):
  best = _best(tmp_path)
  best.offer({'AP': 0.1}, save(1))

  def kill(prefix, *args, **kwargs):
    if killed_in == 'copy':
      real(prefix, *args)
      os.remove(os.path.join(args[0], os.path.basename(prefix) + '.index'))
    raise KeyboardInterrupt

  module = best_checkpoint.files
  if killed_in != 'write_json':
    module = checkpoint_copy
  real = getattr(module, killed_in)
  with monkeypatch.context() as patch:
    patch.setattr(module, killed_in, kill)
    with pytest.raises(KeyboardInterrupt):
      best.offer({'AP': 0.2}, save(2))
  assert _kept(tmp_path / 'best') == 1
  # Nothing is left of it, and the next one is kept under another name.
  best.offer({'AP': 0.3}, save(2))
  assert _kept(tmp_path / 'best') == 2
  names = os.listdir(str(tmp_path / 'best'))
  assert sum(name.endswith(('.index', '.meta')) for name in names) == 2


def test_what_is_kept_keeps_none_itself(tmp_path, save):
  prefix = save(1)
  _best(tmp_path).offer({'AP': 0.1}, prefix)
  directory = tmp_path / 'best'
  assert best_checkpoint.is_kept_one(str(directory))
  _best(directory).offer({'AP': 0.9}, str(directory / 'model.ckpt-1'))
  assert not (directory / 'best').exists()


def test_best_and_last_are_shown_beside_each_other(tmp_path, save, capsys):
  best = _best(tmp_path)
  best.offer({'AP': 0.5, 'box_loss': 1.0}, save(7))
  best.print_beside({'AP': 0.25, 'box_loss': 2.0}, 9)
  shown = capsys.readouterr().out
  assert 'best, step 7' in shown and 'last, step 9' in shown
  assert '0.500' in shown and '0.250' in shown
