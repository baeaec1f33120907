"""What several tests of serving share: small checkpoints and a browser."""

import pytest
import tensorflow.compat.v1 as tf

from modeling.architecture import registries
from tests import chromium, tiny_export, tiny_run


class _Stem:
  """The smallest backbone: one convolution for each level."""

  scope = 'stem'

  def __call__(self, images, is_training):
    del is_training
    with tf.variable_scope(self.scope):
      return {
        level: tf.layers.conv2d(images, 8, 2**level, strides=2**level)
        for level in (3, 4)
      }


@pytest.fixture(scope='session')
def model(tmp_path_factory):
  """A network of two convolutions and a head, in this process alone."""
  patch = pytest.MonkeyPatch()
  patch.setitem(
    registries.BACKBONES._entries, 'stem', lambda params, layers: _Stem()
  )
  stem = {'backbone': 'stem', 'multilevel_features': 'identity'}
  architecture = dict(tiny_export.SMALL['architecture'], **stem)
  yield tiny_export.make(
    tmp_path_factory.mktemp('model'), {'architecture': architecture}
  )
  patch.undo()


@pytest.fixture(scope='session')
def resnet_model(tmp_path_factory):
  return tiny_export.make(tmp_path_factory.mktemp('resnet'))


@pytest.fixture(scope='session')
def records(tmp_path_factory):
  return tiny_run.write_data(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module')
def browser():
  with chromium.browser() as driver:
    yield driver
