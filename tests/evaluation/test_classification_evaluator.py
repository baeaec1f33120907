"""Accuracy and confusion of hand-made probabilities."""

import io
import json

import numpy as np
import pytest
import rich.console

from evaluation import classification_evaluator, report
from utils import errors

_NAMES = {1: 'cat', 2: 'dog [red]', 3: 'eel'}


def _update(evaluator, classes, best, is_padding=None):
  """Adds images whose probability falls from class to class after `best`."""
  num_classes = 7
  falling = 0.5 ** np.arange(num_classes)
  evaluator.update(
    {
      'class_probabilities': np.array([np.roll(falling, b) for b in best]),
      'is_padding': is_padding or [False] * len(best),
      'source_id': np.arange(len(best)) + 10,
    },
    {'classes': np.int32(classes)},
  )


def test_accuracy_and_confusion(tmp_path):
  evaluator = classification_evaluator.ClassificationEvaluator(7, _NAMES)
  _update(evaluator, [1, 1, 2], [1, 1, 1])
  # From 3 on, 0 is the fifth and 1 the sixth; padding does not count.
  _update(evaluator, [0, 1, -1], [3, 3, 2], [False, False, True])
  evaluator.dump_predictions(str(tmp_path / 'p.json'))
  metrics = evaluator.evaluate()
  assert metrics == {
    'top_1_accuracy': pytest.approx(2 / 5),
    'top_5_accuracy': pytest.approx(4 / 5),
    'Accuracy ByCategory/id 0': 0,
    'Accuracy ByCategory/cat': pytest.approx(2 / 3),
    'Accuracy ByCategory/dog [red]': 0,
    'confusion': {
      'id 0': {'eel': 1},
      'cat': {'cat': 2, 'eel': 1},
      'dog [red]': {'cat': 1},
    },
  }
  predictions = json.loads((tmp_path / 'p.json').read_text())
  assert len(predictions) == 5
  assert predictions[2] == {
    'image_id': 12,
    'class_id': 2,
    'predicted': [1, 2, 3, 4, 5],
    'scores': [1.0, 0.5, 0.25, 0.125, 0.0625],
  }
  _update(evaluator, [1], [1])
  assert evaluator.evaluate()['confusion'] == {'cat': {'cat': 1}}


@pytest.mark.parametrize(
  'names, expected',
  [
    ({}, {'1': {'0': 1, '1': 1}}),
    # As of folders of digits, whose ids count from 1.
    ({1: '0', 2: '1'}, {'0': {'id 0': 1, '0': 1}}),
  ],
)
def test_a_class_without_a_name_is_not_taken_for_another(names, expected):
  evaluator = classification_evaluator.ClassificationEvaluator(7, names)
  _update(evaluator, [1, 1], [0, 1])
  assert evaluator.evaluate()['confusion'] == expected


def test_the_table_begins_with_the_worst_class(tmp_path):
  evaluator = classification_evaluator.ClassificationEvaluator(7, _NAMES)
  _update(evaluator, [1, 1, 1, 2, 2], [1, 1, 3, 1, 1])
  metrics = dict(evaluator.evaluate(), model_loss=0.5)
  stream = io.StringIO()
  console = rich.console.Console(file=stream, width=110)
  report.print_metrics(metrics, 600, 'model.ckpt-600', console)
  rows = [line.strip() for line in stream.getvalue().splitlines()]
  (dog, cat) = [row for row in rows if row.startswith(('dog', 'cat'))]
  assert dog.split() == ['dog', '[red]', '2', '0.000', 'cat', '2']
  assert cat.split() == ['cat', '3', '0.667', 'eel', '1']
  assert rows.index(dog) < rows.index(cat)
  assert rows[-1] == 'top_1_accuracy 0.4, top_5_accuracy 0.8, model_loss 0.5'
  report.write_metrics(str(tmp_path), metrics, 600)
  written = json.loads((tmp_path / 'metrics.json').read_text())
  assert written['confusion']['cat'] == {'cat': 2, 'eel': 1}
  (entry,) = report.read_history(str(tmp_path))
  assert 'confusion' not in entry['metrics']
  assert entry['metrics']['Accuracy ByCategory/cat'] == pytest.approx(2 / 3)


def test_a_diverged_model_is_told():
  evaluator = classification_evaluator.ClassificationEvaluator(2, {})
  predictions = {
    'class_probabilities': np.array([[np.nan, np.nan]]),
    'is_padding': [False],
    'source_id': [5],
  }
  with pytest.raises(errors.DataError, match='Image 5: .* not finite'):
    evaluator.update(predictions, {'classes': [1]})
