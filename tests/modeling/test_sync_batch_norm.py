"""Batch norm over several replicas equals batch norm over the whole batch."""

import numpy as np
import tensorflow.compat.v1 as tf

from modeling.architecture import batch_norm

_BATCH = np.random.RandomState(0).randn(8, 3, 2, 5).astype(np.float32)


def _gradients(images):
  """Outputs, and gradients of a loss that tells channels apart."""
  norm = batch_norm.BatchNormActivation(use_sync_bn=True, momentum=0.9)
  outputs = norm(images, True, activate=False)
  loss = tf.reduce_mean(tf.sin(outputs) * tf.range(5.0))
  (gradients,) = tf.gradients(loss, [images])
  updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
  with tf.control_dependencies(updates):
    return outputs, tf.identity(gradients)


def _run(fetches):
  config = tf.ConfigProto(device_count={'CPU': 2})
  with tf.Session(config=config) as session:
    session.run(tf.global_variables_initializer())
    values = session.run(fetches)
    return values, session.run(tf.global_variables())


def test_two_replicas_equal_one_batch():
  with tf.Graph().as_default():
    (outputs, gradients), variables = _run(_gradients(tf.constant(_BATCH)))

  with tf.Graph().as_default():
    strategy = tf.distribute.MirroredStrategy(['/cpu:0', '/cpu:1'])

    def replica():
      context = tf.distribute.get_replica_context()
      shards = tf.reshape(tf.constant(_BATCH), [2, 4, 3, 2, 5])
      return _gradients(shards[context.replica_id_in_sync_group])

    with strategy.scope():
      results = strategy.experimental_run_v2(replica)
    fetches = [strategy.experimental_local_results(r) for r in results]
    (shard_outputs, shard_gradients), shared = _run(fetches)

  np.testing.assert_allclose(np.concatenate(shard_outputs), outputs, atol=1e-5)
  # Each replica's loss is the mean over its half of the batch.
  np.testing.assert_allclose(
    np.concatenate(shard_gradients) / 2, gradients, atol=1e-6
  )
  assert np.abs(gradients).max() > 1e-3
  for value, want in zip(shared, variables):
    np.testing.assert_allclose(value, want, atol=1e-6)
