"""Class by class, a set scores as COCO's own program scores it at once."""

import copy

import numpy as np
import pytest
from pycocotools import coco, cocoeval

from evaluation import batches, coco_metrics, entries
from tests.evaluation.analysis import hand_made_sets


def _indexed(dataset):
  api = coco.COCO()
  api.dataset = copy.deepcopy(dataset)
  for number, row in enumerate(api.dataset['annotations'], start=1):
    row['id'] = number
  api.createIndex()
  return api


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_classes_alone_score_as_all_at_once(iou_type):
  truth, found = hand_made_sets.crowded(decimals=1)
  hand_made_sets.with_masks(truth, found)
  batches.add_areas(found)
  images = truth['images'][::2]
  ids = [image['id'] for image in images]
  expected = cocoeval.COCOeval(
    _indexed(truth), _indexed({**truth, 'annotations': found}), iou_type
  )
  expected.params.imgIds = ids
  expected.evaluate()
  expected.accumulate()
  for backend in ('faster_coco_eval', 'pycocotools'):
    result = coco_metrics.match(
      truth, entries.from_coco(found, images, iou_type), ids, iou_type, backend
    )
    for name in ('precision', 'recall'):
      np.testing.assert_allclose(
        getattr(result, name), expected.eval[name], rtol=0, atol=1e-12
      )
    assert 0 < coco_metrics.coco_metrics(result)['AP'] < 1
