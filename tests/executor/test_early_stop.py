"""When a training ends since evaluations are no better any more."""

import types

import pytest

from evaluation import report
from executor import early_stop
from executor import runner as runner_lib
from tests import tiny_run


def _params(model_dir, patience, min_delta=0.0, metric='AP'):
  return types.SimpleNamespace(
    model_dir=str(model_dir),
    train=types.SimpleNamespace(
      early_stop_evaluations=patience, early_stop_min_delta=min_delta
    ),
    eval=types.SimpleNamespace(best_metric=metric, suffix=''),
  )


def _evaluate(model_dir, *values, first=1):
  for step, value in enumerate(values, first):
    report.write_metrics(str(model_dir / 'eval'), {'AP': value}, 10 * step)


@pytest.mark.parametrize(
  'values, min_delta, metric, best_step',
  [
    ((0.1, 0.3, 0.2, 0.25), 0.0, 'AP', 20),
    # As good as the best is no better.
    ((0.3, 0.3, 0.3), 0.0, 'AP', 10),
    ((0.3, 0.305, 0.309), 0.01, 'AP', 10),
    ((0.2, 0.3, 0.4), 0.0, '-AP', 10),
    # What is not finite is no evaluation.
    ((0.3, float('nan'), 0.1, 0.2), 0.0, 'AP', 10),
    ((0.1, 0.3, 0.2), 0.0, 'AP', None),
    # By small steps, each from the best before.
    ((0.3, 0.306, 0.312), 0.01, 'AP', None),
  ],
)
def test_reason(tmp_path, values, min_delta, metric, best_step):
  _evaluate(tmp_path, *values)
  why = early_stop.reason(_params(tmp_path, 2, min_delta, metric))
  if best_step is None:
    assert why is None
  else:
    assert f'of step {best_step} by more than {min_delta}' in why
  assert early_stop.reason(_params(tmp_path, 0)) is None


def test_a_step_that_is_evaluated_again_counts_once(tmp_path):
  _evaluate(tmp_path, 0.3, 0.2)
  _evaluate(tmp_path, 0.2, first=2)
  assert early_stop.reason(_params(tmp_path, 2)) is None


def test_evaluations_elsewhere_are_the_reason(tmp_path, monkeypatch):
  params = tiny_run.resolve(
    tmp_path,
    tiny_run.write_data(tmp_path),
    {'train': {'early_stop_evaluations': 1}},
  )
  runner = runner_lib.Runner(params)
  monkeypatch.setattr(
    runner, '_train_until', lambda step: _evaluate(tmp_path, 0.3, 0.2)
  )
  runner.train()
  assert runner._trainer.history.why.startswith('AP has not improved on')


def test_training_and_evaluation_in_turn_end(tmp_path, monkeypatch):
  params = tiny_run.resolve(
    tmp_path / 'model',
    tiny_run.write_data(tmp_path),
    {
      'train': {'total_steps': 60, 'early_stop_evaluations': 2},
      'eval': {'num_steps_per_eval': 10},
    },
  )
  runner = runner_lib.Runner(params)
  trained = []
  monkeypatch.setattr(runner, '_train_until', trained.append)

  def evaluate():
    value = {10: 0.1, 20: 0.2}.get(trained[-1], 0.15)
    metrics = {'AP': value}
    report.write_metrics(str(tmp_path / 'model' / 'eval'), metrics, trained[-1])
    return metrics

  monkeypatch.setattr(runner, '_evaluate', evaluate)
  runner.train_and_eval()
  assert trained == [10, 20, 30, 40]
  assert runner._trainer.history.why.startswith('AP has not improved on')
  # Nor does it go on when it is started again.
  runner.train()
  assert trained == [10, 20, 30, 40]
