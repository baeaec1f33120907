"""What all tests share: graphs are built and run quickly."""

import gc
import sys

import pytest

# Graphs are many objects, and live as long as the test.
gc.set_threshold(100000, 20, 20)


@pytest.fixture(autouse=True, scope='session')
def _quick_sessions():
  """Sessions run a graph as it is: rewriting takes longer than most runs.

  The tests that run a program in a process of its own do rewrite.
  """
  if 'tensorflow' not in sys.modules:
    return
  import tensorflow.compat.v1 as tf
  from tensorflow.python.util import deprecation

  # As in the programs: every operation would look for deprecated arguments.
  deprecation._PRINT_DEPRECATION_WARNINGS = False
  init = tf.Session.__init__

  def quick_init(self, target='', graph=None, config=None):
    quick = tf.ConfigProto()
    if config is not None:
      quick.CopyFrom(config)
    if not quick.graph_options.HasField('rewrite_options'):
      quick.graph_options.rewrite_options.disable_meta_optimizer = True
    init(self, target, graph, quick)

  tf.Session.__init__ = quick_init
