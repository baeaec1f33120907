"""ShapeMask from records to priors, a training in parts, and its score."""

import collections
import json
import os

import numpy as np
import pytest

from executor import run_check
from executor import runner as runner_lib
from tests import record_factory, shapemask_batch, tiny_run
from tools import mask_clusters
from utils import errors

_NUM_IMAGES = 7


@pytest.mark.slow
def test_each_image_is_scored_once(tmp_path):
  records = record_factory.write_records(
    tmp_path / 'set.tfrecord', map(record_factory.with_mask, range(_NUM_IMAGES))
  )
  path = str(tmp_path / 'priors.npy')
  masks = mask_clusters.read_masks(records, 16)
  np.save(path, mask_clusters.make(masks, 3, 2, False))
  params = tiny_run.resolve(
    tmp_path / 'model',
    records,
    shapemask_batch.TINY,
    {
      'shapemask_head': {'shape_prior_path': path},
      'eval': {'type': 'shapemask_box_and_mask', 'num_shown_images': 2},
      'postprocess': {'score_threshold': 0.0, 'max_total_size': 4},
      'train': {'gradient_accumulation_steps': 2},
    },
  )
  runner_lib.Runner(params, reports=True).train(eval_after_training=True)
  directory = os.path.join(params.model_dir, 'eval')
  with open(os.path.join(directory, 'metrics.json')) as source:
    metrics = json.load(source)
  assert {'AP', 'mask_AP', 'mask_AP50', 'cls_loss', 'box_loss'} <= set(metrics)
  assert 'novel_mask_AP' not in metrics
  with open(os.path.join(directory, 'predictions.json')) as source:
    detections = json.load(source)
  counts = collections.Counter(d['image_id'] for d in detections)
  assert counts == dict.fromkeys(range(_NUM_IMAGES), 4)
  assert all(d['segmentation']['size'] == [40, 60] for d in detections)
  assert os.path.exists(os.path.join(directory, 'report.html'))


def test_priors_that_do_not_fit_end_a_training_before_it_starts(tmp_path):
  path = str(tmp_path / 'priors.npy')
  np.save(path, np.zeros([4, 2, 8, 8]))
  params = tiny_run.resolve(
    tmp_path / 'model',
    'absent',
    shapemask_batch.TINY,
    {'shapemask_head': {'shape_prior_path': path}},
  )
  with pytest.raises(errors.ConfigError, match=r'\[4, 2, 8, 8\]; .* \[3, clus'):
    run_check.check_settings(params, evaluates=False)
  assert not os.path.exists(params.model_dir)
