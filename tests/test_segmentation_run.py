"""A segmentation model from records to what is served."""

import json

import numpy as np
import pytest
from PIL import Image

from configs import resolver
from executor import runner as runner_lib
from tests import segmentation_set
from utils import errors

_SMALL = {
  'type': 'segmentation',
  'architecture': {'num_classes': 3, 'max_level': 5},
  'resnet': {'resnet_depth': 10},
  'fpn': {'fpn_feat_dims': 16},
  'segmentation_head': {'level': 3, 'num_convs': 1},
  'segmentation_parser': {'output_size': [64, 64], 'resize_eval': True},
  'train': {
    'train_batch_size': 5,
    'total_steps': 4,
    'seed': 1,
    'frozen_variable_prefix': None,
    'learning_rate': {'warmup_steps': 2, 'init_learning_rate': 0.01},
  },
  'eval': {
    'eval_batch_size': 3,
    'eval_samples': None,
    'eval_timeout': 1,
    'min_eval_interval': 0,
    'num_shown_images': 2,
  },
}


def _params(model_dir, records, **changes):
  override = json.loads(json.dumps(_SMALL))
  for block, values in changes.items():
    override.setdefault(block, {}).update(values)
  override['train']['train_file_pattern'] = records
  override['eval']['eval_file_pattern'] = records
  return resolver.resolve(
    params_override=json.dumps(override), flags={'model_dir': str(model_dir)}
  ).params


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """(model_dir, records, metrics of the default evaluation)."""
  directory = tmp_path_factory.mktemp('segmentation')
  records = segmentation_set.write(directory)
  (directory / 'names.txt').write_text('1:leaf\n2:stem\n')
  names = {'label_map_file': str(directory / 'names.txt')}
  params = _params(directory / 'model', records, eval=names)
  metrics = runner_lib.Runner(params).train(eval_after_training=True)
  return directory / 'model', records, metrics


@pytest.fixture(scope='module')
def by_class(trained):
  """`metrics.json` and `predictions.json` of the evaluation by class."""
  model_dir, records, _ = trained
  settings = {
    'type': 'segmentation',
    'label_map_file': str(model_dir.parent / 'names.txt'),
  }
  params = _params(model_dir, records, eval=settings)
  runner_lib.Runner(params, trains=False).evaluate()
  return [
    json.loads((model_dir / 'eval' / name).read_text())
    for name in ('metrics.json', 'predictions.json')
  ]


def test_every_image_is_evaluated_once(trained, by_class):
  _, _, metrics = trained
  written, predictions = by_class
  assert [row['image_id'] for row in predictions] == list(range(100, 105))
  pixels = sum(sum(row.values()) for row in written['pixel_confusion'].values())
  # 40 x 60 is fitted as 43 x 64, 56 x 41 as 64 x 47, but for columns that do
  # not count, and the rows that truncation loses.
  assert 0.94 * (4 * 43 * 64 + 64 * 47) < pixels <= 4 * 43 * 64 + 64 * 47
  # The two ways of evaluation agree.
  assert written['miou'] == pytest.approx(metrics['miou'], rel=1e-5)
  assert written['IoU ByCategory/leaf'] == pytest.approx(
    metrics['eval/iou_class_1'], rel=1e-5
  )
  assert written['model_loss'] > 0


def test_the_worst_images_are_drawn(trained, by_class):
  _, predictions = by_class
  names = sorted(p.name for p in (trained[0] / 'eval' / 'worst').iterdir())
  worst = sorted(predictions, key=lambda row: row['miou'])
  assert [name.split('image-')[1] for name in names] == [
    f'{row["image_id"]}.jpg' for row in worst
  ]
  # The last record is higher than wide: two pictures of 47 x 64.
  (last,) = [name for name in names if '-104.' in name]
  with Image.open(trained[0] / 'eval' / 'worst' / last) as picture:
    assert picture.size == (2 * 47 + 8, 64)
    # Groundtruth of class 1 lies over its place on the left.
    pixels = np.asarray(picture, int)
  assert np.abs(pixels[12, 20] - pixels[2, 45]).sum() > 60


def test_a_page_is_refused(trained):
  model_dir, records, _ = trained
  params = _params(model_dir, records, eval={'type': 'segmentation'})
  with pytest.raises(errors.ConfigError, match="--report: .*'worst' of the"):
    runner_lib.Runner(params, trains=False, reports=True).evaluate()
