"""What all tests share: graphs are built and run quickly."""

import gc
import sys

import pytest

# Graphs are many objects, and live as long as the test.
gc.set_threshold(100000, 20, 20)


@pytest.fixture(autouse=True, scope='session')
def _quick_sessions():
  """Sessions run a graph as it is: rewriting takes longer than most runs."""
  if 'tensorflow' not in sys.modules:
    return
  import tensorflow.compat.v1 as tf

  init = tf.Session.__init__

  def quick_init(self, target='', graph=None, config=None):
    if config is None:
      config = tf.ConfigProto()
      config.graph_options.rewrite_options.disable_meta_optimizer = True
    init(self, target, graph, config)

  tf.Session.__init__ = quick_init
