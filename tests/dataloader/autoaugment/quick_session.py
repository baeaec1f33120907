"""Sessions that start at once."""

import tensorflow.compat.v1 as tf


def quick_session() -> tf.Session:
  """A session that runs the graph as it is, as training on a CPU does.

  Rewriting it would take longer than these tests run it.
  """
  config = tf.ConfigProto()
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  return tf.Session(config=config)
