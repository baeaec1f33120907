"""Numbers of classifiers by hand, and against their evaluator."""

import json

import numpy as np
import pytest

from evaluation import classification_evaluator
from evaluation.analysis import classification
from utils import errors

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
  cat, dog, eel = found.classes
  assert cat == (1, 'cat', 2, 1 / 2, 1 / 3, 2 / 5)
  assert dog == (2, 'dog', 3, pytest.approx(1 / 3), 1 / 2, 2 / 5)
  assert eel[:3] == (3, 'eel', 0)
  assert np.isnan(eel[3:5]).all()
  assert eel.f1 == 0
  # The surest first; of two as sure, the one that gives the truth less.
  assert found.images.ids[found.worst].tolist() == [14, 12, 11]
  assert found.images.true_scores.tolist() == [0.92, 0.4, 0.3, 0.72, 0]
  assert found.histogram.true_positives[[14, 18]].tolist() == [1, 1]
  assert found.calibration.counts.sum() == 5
  low, high = found.intervals['top_1_accuracy']
  assert (low, high) == pytest.approx((0, 0.8))
  assert found.replicates.mean(axis=0) == pytest.approx([0.4, 0.8], abs=0.03)


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
  for entry in found.classes:
    if entry.images:
      assert entry.accuracy == metrics[f'Accuracy ByCategory/{entry.name}']


def test_without_predictions():
  with pytest.raises(errors.DataError, match='no predictions'):
    classification.analyse([])
