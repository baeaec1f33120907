"""Makes small checkpoints for tests."""

import numpy as np
import tensorflow.compat.v1 as tf


def variable(name, shape):
  """A variable of zeros in the default graph."""
  return tf.get_variable(name, shape, initializer=tf.zeros_initializer())


def save_values(directory, values, step=None):
  """Writes a checkpoint of named arrays; returns its prefix."""
  with tf.Graph().as_default(), tf.Session() as session:
    variables = [
      tf.get_variable(name, initializer=np.float32(value))
      for name, value in values.items()
    ]
    session.run(tf.global_variables_initializer())
    return tf.train.Saver(variables).save(
      session, str(directory / 'model.ckpt'), global_step=step
    )
