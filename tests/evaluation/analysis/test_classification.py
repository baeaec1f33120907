"""Numbers of classifiers by hand, and against their evaluator."""

import json

import numpy as np
import pytest

from evaluation import classification_evaluator
from evaluation.analysis import classification

_NAMES = {1: 'cat', 2: 'dog', 3: 'eel'}


def _prediction(image_id, class_id, **scores):
  ids = {name: key for key, name in _NAMES.items()}
  return {
    'image_id': image_id,
    'class_id': class_id,
    'predicted': [ids[name] for name in scores],
    'scores': list(scores.values()),
  }


def test_numbers_by_hand():
  found = classification.analyse(
    [
      _prediction(10, 1, cat=0.92, dog=0.1),
      _prediction(11, 1, dog=0.6, cat=0.4),
      _prediction(12, 2, cat=0.6, dog=0.3),
      _prediction(13, 2, dog=0.72, cat=0.3),
      _prediction(14, 2, cat=0.8),
    ],
    _NAMES,
  )
  assert found.metrics == {'top_1_accuracy': 0.4, 'top_5_accuracy': 0.8}
  assert found.confusion.tolist() == [[1, 1, 0], [2, 1, 0], [0, 0, 0]]
  assert found.names == _NAMES
  assert [row['image_id'] for row in found.worst] == [14, 11, 12]
  low, high = found.intervals['top_1_accuracy']
  assert (low, high) == pytest.approx((0, 0.8))
  few = {1: 'cat', 3: 'eel'}
  assert classification.analyse([_prediction(12, 2, cat=0.6)], few).names == {
    1: 'cat',
    2: 'id 2',
    3: 'eel',
  }


def test_the_numbers_are_those_of_the_evaluator(tmp_path):
  evaluator = classification_evaluator.ClassificationEvaluator(7, {})
  random = np.random.RandomState(0)
  probabilities = random.dirichlet(np.ones(7), size=50)
  truth = random.randint(7, size=50)
  batch = {
    'class_probabilities': probabilities,
    'is_padding': np.zeros(50, bool),
    'source_id': np.arange(50),
  }
  evaluator.update(batch, {'classes': truth})
  evaluator.dump_predictions(str(tmp_path / 'p.json'))
  predictions = json.loads((tmp_path / 'p.json').read_text())
  metrics = evaluator.evaluate()
  found = classification.analyse(predictions)
  for name, value in found.metrics.items():
    assert value == metrics[name]
  for i, (name, row) in enumerate(zip(found.names.values(), found.confusion)):
    if row.sum():
      assert metrics[f'Accuracy ByCategory/{name}'] == row[i] / row.sum()
