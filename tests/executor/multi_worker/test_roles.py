"""Who of several processes trains, who evaluates, and who does neither."""

import json

import pytest

from executor import runner as runner_lib
from tests import tiny_run
from utils import errors

_TRAINED, _EVALUATED = 'trained', 'evaluated'


@pytest.fixture
def records(tmp_path):
  return tiny_run.write_data(tmp_path)


@pytest.fixture
def set_task(monkeypatch):
  """Sets TF_CONFIG of two workers, with or without an evaluator."""

  def set_to(job, index, **jobs):
    config = {
      'cluster': {'worker': ['127.0.0.1:1', '127.0.0.1:2'], **jobs},
      'task': {'type': job, 'index': index},
    }
    monkeypatch.setenv('TF_CONFIG', json.dumps(config))

  return set_to


def _do_nothing_but_note(monkeypatch):
  """Returns what runners do, instead of doing it."""
  done = []
  monkeypatch.setattr(
    runner_lib.Runner, '_train_until', lambda self, step: done.append(_TRAINED)
  )

  def evaluate(self, path=None):
    done.append(_EVALUATED)
    return {'AP': 0.5}

  monkeypatch.setattr(runner_lib.Runner, '_evaluate', evaluate)
  return done


@pytest.mark.parametrize('in_turn', [True, False])
@pytest.mark.parametrize(
  'index,jobs,evaluates',
  [
    (0, {}, True),
    (1, {}, False),
    (0, {'evaluator': ['127.0.0.1:3']}, False),
    (1, {'evaluator': ['127.0.0.1:3']}, False),
  ],
)
def test_one_worker_evaluates_after_training_if_no_evaluator_does(
  tmp_path, records, set_task, monkeypatch, index, jobs, evaluates, in_turn
):
  set_task('worker', index, **jobs)
  done = _do_nothing_but_note(monkeypatch)
  runner = runner_lib.Runner(tiny_run.resolve(tmp_path / 'model', records))
  metrics = (
    runner.train_and_eval()
    if in_turn
    else runner.train(eval_after_training=True)
  )
  assert done == [_TRAINED, *([_EVALUATED] if evaluates else [])]
  assert metrics == ({'AP': 0.5} if evaluates else {})


def test_no_one_evaluates_unasked(tmp_path, records, set_task, monkeypatch):
  set_task('worker', 0)
  done = _do_nothing_but_note(monkeypatch)
  runner_lib.Runner(tiny_run.resolve(tmp_path / 'model', records)).train()
  assert done == [_TRAINED]


@pytest.mark.slow
def test_an_evaluator_does_not_train(tmp_path, set_task, monkeypatch, capsys):
  trained = tiny_run.train(tmp_path)
  capsys.readouterr()
  set_task('evaluator', 0)
  done = _do_nothing_but_note(monkeypatch)
  params = tiny_run.resolve(trained.model_dir, trained.records)
  assert runner_lib.Runner(params).train() == {'AP': 0.5}
  plan = capsys.readouterr().out
  assert 'evaluation batch' in plan and 'one CPU' in plan
  for row in ('training batch', 'batch norm', 'learning rate'):
    assert row not in plan
  assert set(done) == {_EVALUATED}


def test_workers_refuse_to_evaluate_alone(tmp_path, records, set_task):
  set_task('worker', 0)
  params = tiny_run.resolve(tmp_path / 'model', records)
  runner = runner_lib.Runner(params, trains=False)
  with pytest.raises(errors.ConfigError) as info:
    runner.evaluate()
  message = str(info.value)
  assert message.startswith('--mode=eval runs in one process')
  assert 'TF_CONFIG lists 2 workers' in message
  assert 'task type evaluator' in message


@pytest.mark.parametrize(
  'train,message',
  [
    ({'train_batch_size': 3}, 'train.train_batch_size: 3'),
    (
      {'train_batch_size': 4, 'gradient_accumulation_steps': 4},
      'in 4 parts each',
    ),
    ({'mixed_precision': True}, 'train.mixed_precision: true'),
  ],
)
def test_what_cannot_work_is_found_before_workers_meet(
  tmp_path, records, set_task, train, message
):
  set_task('worker', 0)
  params = tiny_run.resolve(tmp_path / 'model', records, {'train': train})
  with pytest.raises(errors.ConfigError, match=message):
    runner_lib.Runner(params)
