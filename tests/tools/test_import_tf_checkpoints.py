"""Checkpoints of other programs: which values are taken, which are refused."""

import numpy as np
import pytest

from configs import factory, params_dict
from tests import checkpoint_factory
from tools.weight_sources import (
  backbone_graph,
  tf_checkpoint,
  written_checkpoint,
)
from utils import errors

_SHAPES = {
  'resnet10/conv2d/kernel': [7, 7, 3, 4],
  'resnet10/batch_normalization/moving_mean': [4],
}


def _values(beginning):
  random = np.random.RandomState(0)
  return {
    beginning + name[len('resnet10/') :]: random.normal(size=shape)
    for name, shape in _SHAPES.items()
  }


def test_official_resnet_of_the_tpu(tmp_path):
  stored = _values('')
  checkpoint_factory.save_values(tmp_path, {**stored, 'dense/bias': np.ones(3)})
  values = tf_checkpoint.read(str(tmp_path), 'resnet10', _SHAPES)
  assert list(values) == list(_SHAPES)
  for value, expected in zip(values.values(), stored.values()):
    np.testing.assert_array_equal(value, np.float32(expected))


def test_what_has_the_names_of_here_is_refused(tmp_path):
  # Folding its batch norm once more would spoil it.
  checkpoint_factory.save_values(tmp_path, _values('resnet10/'))
  with pytest.raises(errors.ConfigError, match='it needs no import. Give it'):
    tf_checkpoint.read(str(tmp_path), 'resnet10', _SHAPES)


def test_official_resnet_of_the_models_takes_images_as_here(tmp_path):
  stored = _values('resnet_model/')
  checkpoint_factory.save_values(tmp_path, stored)
  kernel, mean = stored.values()
  values = tf_checkpoint.read(str(tmp_path), 'resnet10', _SHAPES)
  window = np.random.RandomState(1).uniform(0, 255, size=(7, 7, 3))
  there = np.einsum('hwi,hwio->o', window - [123.68, 116.78, 103.94], kernel)
  window = (window / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  new_kernel, new_mean = values.values()
  here = np.einsum('hwi,hwio->o', window, new_kernel)
  np.testing.assert_allclose(here - new_mean, there - mean, rtol=1e-4)


def test_moving_averages_are_preferred(tmp_path):
  name = 'efficientnet-b0/blocks_0/tpu_batch_normalization/moving_mean'
  kernel = 'efficientnet-b0/stem/conv2d/kernel'
  checkpoint_factory.save_values(
    tmp_path,
    {
      name: np.zeros(2),
      name + '/ExponentialMovingAverage': np.ones(2),
      kernel: np.full([1, 1, 3, 2], 5),
      kernel + '/RMSProp': np.zeros([1, 1, 3, 2]),
      'global_step': 7,
    },
  )
  values = tf_checkpoint.read(
    str(tmp_path), 'efficientnet-b0', {name: [2], kernel: [1, 1, 3, 2]}
  )
  assert {k: v.max() for k, v in values.items()} == {name: 1, kernel: 5}


def test_all_of_efficientnet_is_found(tmp_path):
  network = backbone_graph.build(
    params_dict.with_overrides(
      factory.config_generator('retinanet'),
      {'architecture.backbone': 'efficientnet-b0'},
    )
  )
  shapes = {v.op.name: v.shape.as_list() for v in network.variables}
  prefix = written_checkpoint.write(
    {
      name + '/ExponentialMovingAverage': np.zeros(shape, np.float32)
      for name, shape in shapes.items()
    },
    str(tmp_path / 'source'),
  )
  values = tf_checkpoint.read(prefix, network.scope, shapes)
  assert {k: list(v.shape) for k, v in values.items()} == shapes
  assert len(values) == 311


@pytest.mark.parametrize(
  'stored, message',
  [
    ({'resnet_v1_50/conv1/weights': 1}, 'slim.*strides in the last block'),
    ({'_CHECKPOINTABLE_OBJECT_GRAPH': 1}, 'Keras.*first 1x1 convolution'),
    ({'conv2d/kernel': np.ones([7, 7, 3, 4])}, 'lacks 1 of 2.*moving_mean; it'),
    ({'vgg/kernel': 1}, 'lacks 2 of 2.*resnet10/conv2d/kernel, .*vgg/kernel'),
    (
      {
        'conv2d/kernel': np.ones([3, 7, 7, 4]),
        'batch_normalization/moving_mean': np.ones(4),
      },
      r'conv2d/kernel is of shape \[3, 7, 7, 4\], but of \[7, 7, 3, 4\] in',
    ),
  ],
)
def test_other_checkpoints_are_refused(tmp_path, stored, message):
  prefix = written_checkpoint.write(
    {name: np.float32(value) for name, value in stored.items()},
    str(tmp_path / 'source'),
  )
  with pytest.raises(errors.DataError, match=message):
    tf_checkpoint.read(prefix, 'resnet10', _SHAPES)
