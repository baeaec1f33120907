"""What cannot be scored is refused, and named."""

import numpy as np
import pytest

from evaluation import coco_evaluator
from tests.evaluation import hand_made_batches
from utils import errors


@pytest.fixture
def annotation_file(tmp_path):
  return hand_made_batches.write_annotations(tmp_path / 'annotations.json')


@pytest.mark.parametrize(
  'field',
  [
    'source_id',
    'num_detections',
    'detection_boxes',
    'detection_classes',
    'detection_scores',
    'image_info',
  ],
)
def test_an_absent_prediction_field_is_named(annotation_file, field):
  batch = hand_made_batches.predictions(hand_made_batches.perfect())
  del batch[field]
  with pytest.raises(ValueError, match=f'predictions: `{field}`'):
    coco_evaluator.COCOEvaluator(annotation_file).update(batch)


@pytest.mark.parametrize(
  'field', ['source_id', 'height', 'width', 'boxes', 'classes']
)
def test_an_absent_groundtruth_field_is_named(field):
  groundtruths = hand_made_batches.groundtruths({7: []})
  del groundtruths[field]
  with pytest.raises(ValueError, match=f'groundtruths: `{field}`'):
    coco_evaluator.COCOEvaluator(None).update(
      hand_made_batches.predictions({7: []}), groundtruths
    )


def test_groundtruths_are_needed_without_an_annotation_file():
  with pytest.raises(ValueError, match='groundtruths'):
    coco_evaluator.COCOEvaluator(None).update(
      hand_made_batches.predictions({7: []})
    )


def test_predictions_without_groundtruth_are_named():
  evaluator = coco_evaluator.COCOEvaluator(None)
  evaluator.update(
    hand_made_batches.predictions({7: []}),
    hand_made_batches.groundtruths({8: []}),
  )
  with pytest.raises(errors.DataError, match='Image 7 '):
    evaluator.evaluate()


def test_an_unknown_image_is_named(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  with pytest.raises(errors.DataError, match=r'1 evaluated .* 4 .* ids 99\.'):
    evaluator.update(hand_made_batches.predictions({7: [], 99: []}))


def test_an_image_that_comes_twice_is_named(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(annotation_file)
  evaluator.update(hand_made_batches.predictions({7: []}))
  with pytest.raises(errors.DataError, match='ids 7 came more than once'):
    evaluator.update(hand_made_batches.predictions({12: [], 7: []}))
  batch = hand_made_batches.predictions({12: [], 30: []})
  batch['source_id'][:] = 12
  with pytest.raises(errors.DataError, match='ids 12 came more than once'):
    evaluator.update(batch)


def test_images_that_are_missing_are_counted_and_named(annotation_file):
  evaluator = coco_evaluator.COCOEvaluator(
    annotation_file, requires_all_images=True
  )
  evaluator.update(hand_made_batches.predictions({7: [], 30: []}))
  with pytest.raises(errors.DataError, match='2 of its 4 .*ids 12, 41'):
    evaluator.evaluate()


@pytest.mark.parametrize('field', ['detection_boxes', 'detection_scores'])
def test_detections_that_are_not_finite_are_refused(annotation_file, field):
  batch = hand_made_batches.predictions(
    {7: [], 12: [(hand_made_batches.BIG, 3, 0.5)]}
  )
  batch[field][1, 0] = np.nan
  with pytest.raises(errors.DataError, match='Image 12: .*not finite'):
    coco_evaluator.COCOEvaluator(annotation_file).update(batch)


def test_an_unknown_backend_is_named(annotation_file):
  with pytest.raises(errors.ConfigError, match="Did you mean 'pycocotools'"):
    coco_evaluator.COCOEvaluator(annotation_file, backend='pycocotool')
