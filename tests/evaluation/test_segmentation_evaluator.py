"""IoU of classes, written out."""

import json

import numpy as np
import pytest

from evaluation import segmentation_evaluator


def _batch(*pairs, first=1):
  """Rows of (mask, class map), and a row that fills up the batch."""
  padding = np.full_like(pairs[0][0], 255), np.ones_like(pairs[0][1])
  pairs = [*pairs, padding]
  masks, maps = (np.array(side) for side in zip(*pairs))
  is_padding = np.arange(len(pairs)) == len(pairs) - 1
  return (
    {
      'class_map': maps.astype(np.int32),
      'is_padding': is_padding,
      'source_id': np.arange(first, first + len(pairs)),
      'image_info': np.ones([len(pairs), 4, 2], np.float32),
    },
    {'masks': masks[..., np.newaxis].astype(np.float32)},
  )


def test_scores_of_two_batches(tmp_path):
  names = {1: 'cell', 3: 'dust'}
  evaluator = segmentation_evaluator.SegmentationEvaluator(4, 255, names)
  good = np.array([[0, 0, 1], [1, 1, 1]])
  wrong = np.array([[1, 1, 255], [0, 0, 0]]), np.array([[0, 1, 3], [0, 0, 2]])
  evaluator.update(*_batch((good, good)))
  evaluator.update(*_batch(wrong, first=7))
  evaluator.dump_predictions(str(tmp_path / 'p.json'))
  rows = json.loads((tmp_path / 'p.json').read_text())
  # Of the second image: 0 has 2 of 4, 1 has 1 of 2, 2 is not there.
  assert rows == [
    {'image_id': 1, 'miou': 1.0, 'ious': {'0': 1.0, '1': 1.0}},
    {'image_id': 7, 'miou': 0.333333, 'ious': {'0': 0.5, '1': 0.5, '2': 0.0}},
  ]
  metrics = evaluator.evaluate()
  assert metrics == {
    'miou': pytest.approx((4 / 6 + 5 / 6 + 0) / 3),
    'pixel_accuracy': pytest.approx(9 / 11),
    'IoU ByCategory/id 0': pytest.approx(4 / 6),
    'IoU ByCategory/cell': pytest.approx(5 / 6),
    'IoU ByCategory/id 2': 0,
    'pixel_confusion': {
      'id 0': {'id 0': 4, 'id 2': 1},
      'cell': {'id 0': 1, 'cell': 5},
    },
  }
  assert [(e['source_id'], e['position']) for e in evaluator.worst] == [
    (7, 1),
    (1, 0),
  ]
  assert evaluator.evaluate()['miou'] == 0


def test_the_twelve_worst_are_kept_in_order():
  evaluator = segmentation_evaluator.SegmentationEvaluator(2, 255, {})
  order = np.random.RandomState(0).permutation(20)
  for image_id in order:
    mask = np.ones([1, 20])
    predicted = (np.arange(20) < image_id).astype(int)[np.newaxis]
    evaluator.update(*_batch((mask, predicted), first=image_id))
  evaluator.evaluate()
  assert [image['source_id'] for image in evaluator.worst] == list(range(12))
  assert [order[image['position']] for image in evaluator.worst] == list(
    range(12)
  )
