"""Whole runs: training, evaluation and resuming."""

import json
import os
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from executor import evaluation, training
from executor import runner as runner_lib
from modeling import checkpoint, checkpoint_copy
from tests import tiny_run
from tests.evaluation.pages import shown_metrics
from utils import errors


def _latest_step(model_dir):
  return checkpoint.step_of(tf.train.latest_checkpoint(str(model_dir)))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A model directory after 3 steps, its records and its metrics."""
  directory = tmp_path_factory.mktemp('trained')
  records = tiny_run.write_data(directory)
  params = tiny_run.resolve(directory / 'model', records)
  metrics = runner_lib.Runner(params).train(eval_after_training=True)
  return directory / 'model', records, metrics


def _predictions(directory):
  return json.loads((directory / 'predictions.json').read_text())


def test_training_leaves_its_files(trained):
  model_dir, _, metrics = trained
  assert _latest_step(model_dir) == 3
  names = set(os.listdir(str(model_dir)))
  assert {'params.yaml', 'train_model_stats.json', 'eval'} <= names
  with open(str(model_dir / 'eval' / 'metrics.json')) as f:
    written = json.load(f)
  assert written['step'] == 3
  assert written['AP'] == pytest.approx(metrics['AP'])
  again = resolver.resolve(config_file=str(model_dir / 'params.yaml')).params
  assert again.train.total_steps == 3


def _check_report(directory):
  """A report shows the metrics of `metrics.json` to the last digit."""
  written = json.loads((directory / 'metrics.json').read_text())
  shown = shown_metrics.read(directory / 'report.html')
  assert len(shown) == 12
  assert shown == {name: written[name] for name in shown}


def test_report_shows_the_evaluation_and_the_run(trained):
  model_dir, records, _ = trained
  # As tools/check_dataset.py writes it.
  finding = {'set': 'train', 'title': 'Broken', 'count': '3', 'remedy': 'Mend.'}
  summary = {'sets': {'train': {'images': 2019}}, 'findings': [finding]}
  (model_dir / 'dataset.json').write_text(json.dumps(summary))
  evaluation.write_report(tiny_run.resolve(model_dir, records))
  _check_report(model_dir / 'eval')
  text = (model_dir / 'eval' / 'report.html').read_text()
  assert '<code>train.total_steps</code></td><td class="text">3</td>' in text
  assert 'million trained parameters' in text
  assert '2,019' in text and 'train: Broken (3). Mend.' in text
  # A picture of each image, with its object.
  assert text.count('data:image/jpeg') == 1  # In the script alone.
  assert text.count('id="picture-') == tiny_run.NUM_IMAGES


@pytest.mark.parametrize(
  'changes, evaluates, message',
  [
    ({}, False, 'give --eval_after_training, too'),
    ({'eval': {'type': 'customized'}}, True, "'customized' has no predictions"),
  ],
)
def test_report_needs_an_evaluation(tmp_path, changes, evaluates, message):
  params = tiny_run.resolve(tmp_path, tiny_run.write_data(tmp_path), changes)
  with pytest.raises(errors.ConfigError, match=message):
    runner_lib.Runner(params, reports=True).train(evaluates)


def test_every_image_is_evaluated_once_whatever_the_batch(trained):
  model_dir, records, metrics = trained
  found = _predictions(model_dir / 'eval')
  images = [entry['image_id'] for entry in found]
  assert sorted(set(images)) == list(range(100, 100 + tiny_run.NUM_IMAGES))
  assert len(images) == 10 * tiny_run.NUM_IMAGES
  # 7 images in batches of 7 instead of 3, 3 and 1.
  params = tiny_run.resolve(
    model_dir, records, {'eval': {'eval_batch_size': 7, 'suffix': '_7'}}
  )
  other = runner_lib.Runner(params)._evaluate()
  scored = [name for name in other if 'loss' not in name]
  assert len(scored) == 12
  for name in scored:
    assert other[name] == pytest.approx(metrics[name], abs=1e-6)
  again = _predictions(model_dir / 'eval_7')
  assert [d['image_id'] for d in again] == images
  assert [d['score'] for d in again] == pytest.approx(
    [d['score'] for d in found], abs=1e-5
  )


@pytest.mark.slow
def test_eval_samples_limits_the_images(trained):
  model_dir, records, _ = trained
  params = tiny_run.resolve(
    model_dir, records, {'eval': {'eval_samples': 4, 'suffix': '_4'}}
  )
  runner_lib.Runner(params)._evaluate()
  images = {d['image_id'] for d in _predictions(model_dir / 'eval_4')}
  assert len(images) == 4


@pytest.mark.slow
def test_resumed_training_goes_on_at_its_step(trained, caplog):
  model_dir, records, _ = trained
  params = tiny_run.resolve(model_dir, records, {'train': {'total_steps': 5}})
  with caplog.at_level('INFO'):
    runner_lib.Runner(params).train()
  assert _latest_step(model_dir) == 5
  assert 'continues from step 3' in caplog.text
  caplog.clear()
  runner_lib.Runner(params).train()
  assert 'nothing to do' in caplog.text


def test_the_plan_says_where_training_goes_on(tmp_path, monkeypatch, capsys):
  for step in (4, 9):
    prefix = str(tmp_path / f'model/model.ckpt-{step}')
    checkpoint_copy.save({'weight': np.zeros(99)}, prefix)
  with open(prefix + '.data-00000-of-00001', 'w'):
    pass
  params = tiny_run.resolve(tmp_path / 'model', tiny_run.write_data(tmp_path))
  monkeypatch.setattr(training.Trainer, 'train', lambda *arguments: None)
  runner_lib.Runner(params).train()
  assert 'of step 4, which training goes on from' in capsys.readouterr().out


@pytest.mark.slow
def test_another_architecture_is_refused(trained):
  model_dir, records, _ = trained
  params = tiny_run.resolve(
    model_dir,
    records,
    {'train': {'total_steps': 9}, 'fpn': {'fpn_feat_dims': 16}},
  )
  kept = [model_dir / 'params.yaml', model_dir / 'train_model_stats.json']
  before = [path.read_bytes() for path in kept]
  with pytest.raises(errors.UserError, match='another architecture'):
    runner_lib.Runner(params).train()
  # A training with nothing to do goes on to evaluate.
  params = tiny_run.resolve(model_dir, records, {'fpn': {'fpn_feat_dims': 16}})
  with pytest.raises(errors.UserError, match='another architecture') as info:
    runner_lib.Runner(params).train(eval_after_training=True)
  assert '[1, 1, 128, 16] here, [1, 1, 128, 8] there' in str(info.value)
  assert [path.read_bytes() for path in kept] == before


@pytest.mark.slow
def test_customized_evaluation_reports_losses(trained, capsys):
  model_dir, records, metrics = trained
  params = tiny_run.resolve(
    model_dir, records, {'eval': {'type': 'customized', 'suffix': '_losses'}}
  )
  path = str(model_dir / 'model.ckpt-3')
  losses = runner_lib.Runner(params)._evaluate(path)
  assert set(losses) == {'loss', 'cls_loss', 'box_loss', 'model_loss'}
  for name in ('cls_loss', 'box_loss', 'model_loss'):
    assert losses[name] == pytest.approx(metrics[name], rel=1e-4)
  written = json.loads((model_dir / 'eval_losses/metrics.json').read_text())
  assert written == dict(losses, step=3, checkpoint=path)
  assert 'model_loss {:.5g}'.format(losses['model_loss']) in (
    capsys.readouterr().out
  )


@pytest.mark.parametrize('eval_type', ['box', 'customized'])
def test_evaluation_without_checkpoint_is_an_error(tmp_path, eval_type):
  params = tiny_run.resolve(
    tmp_path / 'model',
    tiny_run.write_data(tmp_path),
    {'eval': {'type': eval_type}},
  )
  with pytest.raises(errors.UserError, match='holds no checkpoint'):
    runner_lib.Runner(params)._evaluate()


@pytest.mark.slow
def test_train_and_eval_runs_every_step(tmp_path, monkeypatch):
  params = tiny_run.resolve(
    tmp_path / 'model',
    tiny_run.write_data(tmp_path),
    {'train': {'total_steps': 3}, 'eval': {'num_steps_per_eval': 2}},
  )
  runner = runner_lib.Runner(params)
  evaluated = []
  monkeypatch.setattr(
    runner,
    '_evaluate',
    lambda: evaluated.append(_latest_step(tmp_path / 'model')) or {'AP': 0.0},
  )
  runner.train_and_eval()
  assert evaluated == [2, 3]


@pytest.mark.slow
def test_eval_mode_ends_at_the_last_step(trained, caplog):
  model_dir, records, _ = trained
  params = tiny_run.resolve(
    model_dir,
    records,
    # The groundtruth comes with the batches.
    {
      'eval': {
        'suffix': '_last',
        'eval_timeout': None,
        'use_json_file': False,
      }
    },
  )
  runner = runner_lib.Runner(params, trains=False, reports=True)
  with caplog.at_level('INFO'):
    assert 'AP' in runner.evaluate()
  # Other tests of this module train it further.
  assert re.search(
    rf"Evaluating model\.ckpt-3(, model\.ckpt-5)? of '{model_dir}'", caplog.text
  )
  assert 'Waiting for' not in caplog.text
  _check_report(model_dir / 'eval_last')


@pytest.mark.slow
def test_eval_mode_reports_before_it_waits(trained, caplog, monkeypatch):
  model_dir, records, _ = trained
  params = tiny_run.resolve(
    model_dir, records, {'train': {'total_steps': 9}, 'eval': {'suffix': '_9'}}
  )
  waited = []
  monkeypatch.setattr(
    evaluation,
    'write_report',
    lambda params: waited.append('No new checkpoint' in caplog.text),
  )
  with caplog.at_level('INFO'):
    runner_lib.Runner(params, trains=False, reports=True).evaluate()
  # Other tests of this module train it further.
  assert re.search(
    r'after step [35], up to 9 \(train.total_steps\)', caplog.text
  )
  assert waited == [False, True]


def test_eval_mode_without_checkpoint_times_out(tmp_path, caplog):
  params = tiny_run.resolve(
    tmp_path / 'model',
    tiny_run.write_data(tmp_path),
    {'eval': {'eval_timeout': 1}},
  )
  with caplog.at_level('INFO'):
    with pytest.raises(errors.UserError, match='eval.eval_timeout'):
      runner_lib.Runner(params).evaluate()
  assert (
    f"Waiting for checkpoints in '{tmp_path}/model', 1 s at most "
    '(eval.eval_timeout).' in caplog.text
  )
