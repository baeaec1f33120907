"""What runs leave behind and how they follow each other."""

import json
import os
import signal
import subprocess
import time

import pytest
import tensorflow.compat.v1 as tf

from evaluation import report
from executor import estimator_factory, failures, hardware
from executor import evaluation as evaluation_lib
from executor import runner as runner_lib
from modeling import checkpoint, model_builder
from tests import programs, tiny_run
from utils import errors

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A run of 3 steps that wrote summaries."""
  return tiny_run.train(
    tmp_path_factory.mktemp('trained'), {'enable_summary': True}
  )


def _scalars(directory):
  """{name: {step: value}} of the scalars that a summary writer left."""
  scalars = {}
  for name in os.listdir(str(directory)):
    if not name.endswith('.v2'):
      continue
    for event in tf.train.summary_iterator(os.path.join(str(directory), name)):
      for value in event.summary.value:
        steps = scalars.setdefault(value.tag, {})
        steps[event.step] = float(tf.make_ndarray(value.tensor))
  return scalars


def test_summaries_of_every_step(trained):
  scalars = _scalars(trained.model_dir)
  assert set(scalars) == {
    'cls_loss',
    'box_loss',
    'model_loss',
    'l2_regularization_loss',
    'learning_rate',
    'gradient_norm',
  }
  assert all(sorted(steps) == [0, 1, 2] for steps in scalars.values())
  rates = scalars['learning_rate']
  assert rates[0] == pytest.approx(0.001)
  assert rates[1] == pytest.approx(0.0055)
  for step in range(3):
    assert scalars['model_loss'][step] == pytest.approx(
      scalars['cls_loss'][step] + 50 * scalars['box_loss'][step], rel=1e-5
    )


@pytest.mark.slow
def test_annotations_of_other_images_are_refused(trained, tmp_path):
  path = tmp_path / 'val.json'
  path.write_text(
    json.dumps(
      {
        'images': [
          {'id': 100 + i, 'height': 40, 'width': 60}
          for i in range(tiny_run.NUM_IMAGES + 1)
        ],
        'annotations': [],
        'categories': [{'id': 1, 'name': 'one'}],
      }
    )
  )
  params = tiny_run.resolve(
    trained.model_dir,
    trained.records,
    {'eval': {'val_json_file': str(path), 'suffix': '_other'}},
  )
  with pytest.raises(errors.DataError, match='1 of its 8 images .* ids 107'):
    runner_lib.Runner(params).evaluate()


def test_more_eval_samples_than_images_are_refused(trained):
  params = tiny_run.resolve(
    trained.model_dir,
    trained.records,
    {
      'eval': {
        'eval_samples': 8,
        'use_json_file': False,
        'suffix': '_8',
      }
    },
  )
  with pytest.raises(errors.DataError, match='eval.eval_samples: 8'):
    runner_lib.Runner(params).evaluate()


def _runner_of(params, monkeypatch, checkpoints, evaluate):
  """A runner that sees these checkpoints appear."""
  runner = runner_lib.Runner(params)
  monkeypatch.setattr(checkpoint, 'appearing', lambda *args: iter(checkpoints))
  monkeypatch.setattr(evaluation_lib, 'checkpoints_to_score', lambda _: [])
  monkeypatch.setattr(runner, '_evaluate_once', evaluate)
  return runner


def test_evaluation_follows_checkpoints_until_the_last_step(
  trained, monkeypatch
):
  latest = tf.train.latest_checkpoint(trained.model_dir)
  base = os.path.join(trained.model_dir, 'model.ckpt-')
  evaluated = []

  def evaluate(path):
    evaluated.append(path)
    if path.endswith('-1'):
      # What a saver raises whose files were deleted meanwhile.
      raise ValueError('The passed save_path is not a valid checkpoint')
    if path.endswith('-2'):
      raise checkpoint.UnreadableCheckpointError('no such file')
    return {'AP': float(checkpoint.step_of(path))}

  paths = [base + '0', base + '1', base + '2', latest, base + '9']
  params = tiny_run.resolve(trained.model_dir, trained.records)
  runner = _runner_of(params, monkeypatch, paths, evaluate)
  assert runner.evaluate() == {'AP': 3.0}
  assert evaluated == paths[:4]


def test_checkpoints_that_are_there_come_first(trained, monkeypatch, tmp_path):
  base = str(tmp_path / 'model.ckpt-')
  for step in (10, 9, 2, 0):
    (tmp_path / f'model.ckpt-{step}.index').write_text('')
  directory = str(tmp_path / 'eval')
  params = tiny_run.resolve(tmp_path, trained.records)
  paths = [base + step for step in ('2', '9', '10')]
  assert evaluation_lib.checkpoints_to_score(params) == paths
  for path in paths[1:]:
    report.write_metrics(directory, {'AP': 0.5}, 0, '/elsewhere' + path)
  # What is scored already is not again, but for the last one.
  assert evaluation_lib.checkpoints_to_score(params) == [paths[0], paths[2]]
  later = time.time() + 9
  os.utime(paths[1] + '.index', (later, later))  # of another training
  assert evaluation_lib.checkpoints_to_score(params) == paths
  evaluated = []
  runner = runner_lib.Runner(
    tiny_run.resolve(tmp_path, trained.records, {'train': {'total_steps': 11}})
  )
  appearing = iter([paths[2], base + '11', base + '12'])
  monkeypatch.setattr(checkpoint, 'appearing', lambda *args: appearing)
  monkeypatch.setattr(
    runner, '_evaluate_once', lambda path: evaluated.append(path) or {}
  )
  runner.evaluate()
  assert evaluated == [*paths, base + '11']


def test_evaluation_ends_when_no_checkpoint_follows(trained, monkeypatch):
  params = tiny_run.resolve(
    trained.model_dir, trained.records, {'train': {'total_steps': 9}}
  )
  paths = [tf.train.latest_checkpoint(trained.model_dir)]
  runner = _runner_of(params, monkeypatch, paths, lambda path: {'AP': 0.25})
  assert runner.evaluate() == {'AP': 0.25}


@pytest.mark.parametrize(
  'error,is_deleted',
  [(ValueError('a defect'), False), (errors.DataError('bad data'), True)],
)
def test_evaluation_does_not_hide_defects(
  trained, monkeypatch, error, is_deleted
):
  def evaluate(path):
    raise error

  params = tiny_run.resolve(trained.model_dir, trained.records)
  paths = [tf.train.latest_checkpoint(trained.model_dir)]
  if is_deleted:
    paths = [os.path.join(trained.model_dir, 'model.ckpt-2')]
  runner = _runner_of(params, monkeypatch, paths, evaluate)
  with pytest.raises(type(error), match=str(error)):
    runner.evaluate()


@pytest.mark.slow
def test_run_of_another_optimizer_is_not_continued(trained):
  params = tiny_run.resolve(
    trained.model_dir,
    trained.records,
    {'train': {'optimizer': {'type': 'adam'}, 'total_steps': 5}},
  )
  with pytest.raises(tf.errors.NotFoundError) as info:
    runner_lib.Runner(params).train()
  message = str(failures.explain(info.value))
  assert "has no variable '" in message
  assert 'train.optimizer' in message and '--model_dir' in message


class _Asked(Exception):
  """Carries the batch size that an input function was asked for."""


def test_each_batch_size_means_what_it_says(trained):
  params = tiny_run.resolve(
    trained.model_dir,
    trained.records,
    {
      'train': {'train_batch_size': 2},
      'eval': {'eval_batch_size': 3},
    },
  )
  estimator = estimator_factory.make_estimator(
    params,
    model_builder.ModelFn(params),
    hardware.detect(params),
    is_training=True,
  )
  assert isinstance(estimator, tf.estimator.tpu.TPUEstimator)

  def input_fn(params):
    raise _Asked(params['batch_size'])

  path = tf.train.latest_checkpoint(trained.model_dir)
  sizes = []
  for run in (
    lambda: estimator.train(input_fn, max_steps=9),
    lambda: estimator.evaluate(input_fn, checkpoint_path=path),
    lambda: list(estimator.predict(input_fn, checkpoint_path=path)),
  ):
    with pytest.raises(_Asked) as info:
      run()
    sizes.append(info.value.args[0])
  assert sizes == [2, 3, 3]


@pytest.mark.slow
def test_loss_that_is_not_finite_is_described(tmp_path):
  rate = {
    'type': 'step',
    'warmup_steps': 1,
    'warmup_learning_rate': 0.001,
    'init_learning_rate': 1e30,
    'learning_rate_levels': [0.001],
    'learning_rate_steps': [100],
  }
  params = tiny_run.resolve(
    tmp_path / 'model',
    tiny_run.write_data(tmp_path),
    {
      'train': {
        'total_steps': 9,
        'learning_rate': rate,
        # After every step: the loss has to be checked before that.
        'save_checkpoint_seconds': 0,
      }
    },
  )
  with pytest.raises(errors.UserError) as info:
    runner_lib.Runner(params).train()
  message = str(info.value)
  # Step 1 has the rate 0.001; that of step 2 spoils the weights of step 3.
  assert 'not finite at step 3: cls_loss' in message
  assert 'Learning rate 1e+30' in message
  ids = message.split('source ids of the batch: ')[1].split('.')[0]
  assert {int(i) for i in ids.split(', ')} <= set(range(100, 107))
  latest = tf.train.latest_checkpoint(params.model_dir)
  assert checkpoint.step_of(latest) == 2


def _start(model_dir, *arguments):
  return subprocess.Popen(
    [
      *programs.PYTHON,
      'main.py',
      '--mode=train',
      f'--model_dir={model_dir}',
      *arguments,
    ],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    universal_newlines=True,
  )


@pytest.mark.slow
def test_stopped_run_is_resumed_from_its_own_params(tmp_path):
  records = tiny_run.write_data(tmp_path)
  model_dir = tmp_path / 'model'
  endless = tiny_run.overrides(records, {'train': {'total_steps': 100000}})
  process = _start(model_dir, '--params_override=' + json.dumps(endless))
  for line in process.stdout:
    if 'step 1/' in line:
      break
  process.send_signal(signal.SIGTERM)
  output = process.stdout.read()
  assert process.wait(timeout=120) == 128 + signal.SIGTERM
  latest = tf.train.latest_checkpoint(str(model_dir))
  step = checkpoint.step_of(latest)
  assert f'Stopped by SIGTERM. The checkpoint {latest} was saved' in (output)
  # All of the first step belongs to the start.
  assert ('Where the time went' in output) == (step > 1)
  process = _start(
    model_dir,
    '--config_file={}'.format(model_dir / 'params.yaml'),
    f'--train_steps={step + 2}',
  )
  output, _ = process.communicate(timeout=300)
  assert process.returncode == 0
  assert f'continues from step {step}.' in output
  assert f'step {step + 2}/{step + 2}' in output
  latest = tf.train.latest_checkpoint(str(model_dir))
  assert checkpoint.step_of(latest) == step + 2
