"""Mask R-CNN from records to its score and to an export."""

import collections
import json
import os
import pathlib

import numpy as np
import pytest

from configs import resolver
from executor import runner as runner_lib
from serving.export import export
from serving.predictors import checkpoint, exported
from tests import record_factory, two_stage_batch
from tests.evaluation.pages import shown_metrics

_NUM_IMAGES, _NUM_DETECTIONS = 7, 4
_TINY = {
  'resnet': {'resnet_depth': 10},
  'architecture': {'pre_parser': 'extract_objects_parser'},
  'maskrcnn_parser': {'output_size': [64, 64], 'copy_paste': True},
  'roi_proposal': {'test_rpn_post_nms_top_k': 16},
  'postprocess': {'max_total_size': _NUM_DETECTIONS, 'score_threshold': 0.0},
}
_TRAIN = {'train_batch_size': 2, 'total_steps': 1, 'seed': 1}
# The last batch is filled up by two.
_EVAL = {'eval_batch_size': 3, 'type': 'box_and_mask'}


@pytest.mark.slow
def test_each_image_is_scored_once_and_exports_agree(tmp_path):
  records = record_factory.write_records(
    tmp_path / 'set.tfrecord', map(record_factory.with_mask, range(_NUM_IMAGES))
  )
  data = {
    'train': {**_TRAIN, 'train_file_pattern': records},
    'eval': {**_EVAL, 'eval_file_pattern': records},
  }
  params = resolver.resolve(
    params_override=json.dumps(
      two_stage_batch.merged(two_stage_batch.SMALL, _TINY, data)
    ),
    flags={'model_dir': str(tmp_path / 'model')},
  ).params
  runner_lib.Runner(params, reports=True).train(eval_after_training=True)
  directory = os.path.join(params.model_dir, 'eval')
  with open(os.path.join(directory, 'metrics.json')) as source:
    metrics = json.load(source)
  assert {'AP', 'mask_AP', 'mask_AP50'} <= set(metrics)
  shown = shown_metrics.read(pathlib.Path(directory) / 'report.html')
  assert len(shown) == 24 and shown == {name: metrics[name] for name in shown}
  with open(os.path.join(directory, 'predictions.json')) as source:
    detections = json.load(source)
  counts = collections.Counter(d['image_id'] for d in detections)
  assert counts == dict.fromkeys(range(_NUM_IMAGES), _NUM_DETECTIONS)
  assert all(d['segmentation']['size'] == [40, 60] for d in detections)

  images = [record_factory.pixels(40, 60, seed=i) for i in range(2)]
  expected = checkpoint.CheckpointPredictor(
    params.model_dir, params, (64, 64)
  ).predict(images)
  export_dir = str(tmp_path / 'export')
  export.export(export_dir, params.model_dir, batch_size=-1)
  for got, want in zip(exported.load(export_dir).predict(images), expected):
    assert got.masks.shape == want.masks.shape == (len(got.boxes), 28, 28)
    np.testing.assert_allclose(got.boxes, want.boxes, atol=1e-3)
    np.testing.assert_allclose(got.masks, want.masks, atol=1e-3)
