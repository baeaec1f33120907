"""Batch norm over several replicas equals batch norm over the whole batch."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from modeling.architecture import backbone_and_neck, batch_norm, layer_kit
from tests import golden_numbers

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


def test_without_synchronisation_each_replica_normalises_its_own_part(tmp_path):
  def replica():
    context = tf.distribute.get_replica_context()
    shards = tf.reshape(tf.constant(_BATCH), [2, 4, 3, 2, 5])
    norm = batch_norm.BatchNormActivation(momentum=0.9, epsilon=1e-4)
    outputs = norm(
      shards[context.replica_id_in_sync_group], True, activate=False
    )
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies(updates):
      return tf.identity(outputs)

  with tf.Graph().as_default():
    strategy = tf.distribute.MirroredStrategy(['/cpu:0', '/cpu:1'])
    with strategy.scope():
      outputs = strategy.experimental_run_v2(replica)
    saver = tf.train.Saver()
    with tf.Session(config=tf.ConfigProto(device_count={'CPU': 2})) as session:
      session.run(tf.global_variables_initializer())
      outputs = session.run(strategy.experimental_local_results(outputs))
      saved = saver.save(session, str(tmp_path / 'model'))

  means, variances = [], []
  for got, part in zip(outputs, np.split(_BATCH.astype(np.float64), 2)):
    mean, variance = part.mean((0, 1, 2)), part.var((0, 1, 2))
    want = (part - mean) / np.sqrt(variance + 1e-4)
    np.testing.assert_allclose(got, want, atol=1e-5)
    means.append(mean)
    # Of 4 x 3 x 2 values; the moving variance is the unbiased one.
    variances.append(variance * 24 / 23)
  assert np.abs(means[0] - means[1]).max() > 0.1
  # Checkpoints have the mean of what the replicas have.
  reader = tf.train.load_checkpoint(saved)
  np.testing.assert_allclose(
    reader.get_tensor('batch_normalization/moving_mean'),
    0.1 * np.mean(means, 0),
    atol=1e-6,
  )
  np.testing.assert_allclose(
    reader.get_tensor('batch_normalization/moving_variance'),
    0.9 + 0.1 * np.mean(variances, 0),
    atol=1e-6,
  )


@pytest.mark.parametrize('num_cores,is_shared', [(8, False), (16, True)])
def test_cores_of_a_tpu(num_cores, is_shared):
  """More than 8 cores share moments; what they compute needs a TPU."""
  with tf.Graph().as_default(), tpu_function.tpu_shard_context(num_cores):
    _gradients(tf.constant(_BATCH))
    types = [op.type for op in tf.get_default_graph().get_operations()]
  # Mean and variance, and the gradient of each.
  assert types.count('CrossReplicaSum') == (4 if is_shared else 0)


@pytest.mark.slow
@pytest.mark.parametrize(
  'override',
  [
    {
      'architecture': {
        'backbone': 'spinenet_mbconv',
        'multilevel_features': 'identity',
      },
      'spinenet_mbconv': {'model_id': '49XS'},
      'batch_norm_activation': {'use_sync_bn': True, 'activation': 'swish'},
    },
    # Synchronised without being told to.
    {'architecture': {'backbone': 'efficientnet-b0'}},
  ],
)
def test_a_whole_network_trains_with_the_names_of_the_fused_layers(override):
  names = []
  for use_tpu in (False, True):
    params = golden_numbers.make_params({**override, 'use_tpu': use_tpu})
    with tf.Graph().as_default():
      layers = layer_kit.from_params(params)
      features = backbone_and_neck.backbone_generator(params, layers)(
        tf.random_normal([2, 128, 128, 3]), True
      )
      names.append([v.op.name for v in tf.global_variables()])
      loss = tf.add_n([tf.reduce_mean(f * f) for f in features.values()])
      weights = [v for v in tf.trainable_variables() if 'head' not in v.op.name]
      assert None not in tf.gradients(loss, weights)
      types = {op.type for op in tf.get_default_graph().get_operations()}
      assert ('FusedBatchNormV3' in types) != use_tpu
  assert names[0] == names[1]
