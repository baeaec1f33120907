"""What all tests share: graphs are built and run quickly."""

import gc
import os
import sys

import pytest

# Graphs are many objects, and live as long as the test.
gc.set_threshold(100000, 20, 20)


# Nothing is compiled by XLA, and nobody has to look what might be.
os.environ.setdefault('TF_XLA_FLAGS', '--tf_xla_clustering_fuel=0')


@pytest.fixture(autouse=True, scope='session')
def _quick_sessions():
  """Sessions and datasets run as they are: rewriting takes longer than a run.

  The tests that run a program in a process of its own do rewrite.
  """
  if 'tensorflow' not in sys.modules:
    return
  import tensorflow.compat.v1 as tf
  from tensorflow.python.data.ops import dataset_ops
  from tensorflow.python.util import deprecation

  # As in the programs: every operation would look for deprecated arguments.
  deprecation._PRINT_DEPRECATION_WARNINGS = False
  dataset_ops.Options._static_optimizations = lambda self: []
  init = tf.Session.__init__

  def quick_init(self, target='', graph=None, config=None):
    quick = tf.ConfigProto()
    if config is not None:
      quick.CopyFrom(config)
    if not quick.graph_options.HasField('rewrite_options'):
      quick.graph_options.rewrite_options.disable_meta_optimizer = True
    init(self, target, graph, quick)

  tf.Session.__init__ = quick_init
