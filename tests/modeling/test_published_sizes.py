"""Parameters and multiply-adds equal the published table."""

import pytest
import tensorflow.compat.v1 as tf

from modeling import factory
from tests import golden_numbers
from utils import mode_keys


@pytest.mark.parametrize(
  'depth,size,parameters,multiply_adds',
  [
    (50, 640, 34.0, 97.0),
    (101, 1024, 53.1, 326.3),
    (152, 1280, 68.7, 630.5),
  ],
)
def test_resnet_fpn(depth, size, parameters, multiply_adds):
  params = golden_numbers.make_params({'resnet': {'resnet_depth': depth}})
  with tf.Graph().as_default():
    model = factory.model_generator(params)
    model.build_outputs(tf.zeros([1, size, size, 3]), {}, mode_keys.TRAIN)
  # The table gives one decimal.
  assert round(model.stats['num_trainable_params_million'], 1) == pytest.approx(
    parameters, abs=0.101
  )
  assert model.stats['multi_add_flops_billion'] == pytest.approx(
    multiply_adds, rel=5e-3
  )


@pytest.mark.parametrize('batch', [1, 3])
def test_stats_are_per_image(batch):
  params = golden_numbers.make_params({'resnet': {'resnet_depth': 10}})
  with tf.Graph().as_default():
    model = factory.model_generator(params)
    model.build_outputs(tf.zeros([batch, 128, 128, 3]), {}, mode_keys.TRAIN)
    stem = 64 * 64 * 64 * 7 * 7 * 3 / 1e9
    total = model.stats['multi_add_flops_billion']
  assert stem < total < 20
  if batch == 3:
    with tf.Graph().as_default():
      single = factory.model_generator(params)
      single.build_outputs(tf.zeros([1, 128, 128, 3]), {}, mode_keys.TRAIN)
    assert total == pytest.approx(
      single.stats['multi_add_flops_billion'], rel=1e-2
    )
