"""The training step as a TPU's cores get it: what they exchange."""

import collections
import json

import pytest
import tensorflow.compat.v1 as tf

from configs import resolver
from dataloader import input_reader
from modeling import model_builder
from tests import tiny_run
from utils import mode_keys

_NUM_CORES = 16


@pytest.mark.slow
@pytest.mark.parametrize('use_sync_bn,momentum', [(False, 0.0), (True, 0.9)])
def test_what_cores_sum(tmp_path, use_sync_bn, momentum):
  records = tiny_run.write_data(tmp_path)
  change = {
    'enable_summary': True,
    'batch_norm_activation': {'use_sync_bn': use_sync_bn},
    'retinanet_loss': {'normalizer_momentum': momentum},
  }
  params = resolver.resolve(
    params_override=json.dumps(tiny_run.overrides(records, change)),
    flags={'model_dir': str(tmp_path / 'model'), 'use_tpu': True},
  ).params
  model_fn = model_builder.ModelFn(params)
  specs = []
  with tf.Graph().as_default() as graph:
    dataset = input_reader.InputFn(records, params, mode_keys.TRAIN)(
      {'batch_size': 2}
    )
    batch = tf.data.make_one_shot_iterator(dataset).get_next()

    def step(*tensors):
      images, labels = tf.nest.pack_sequence_as(batch, tensors)
      spec = model_fn(images, labels, tf.estimator.ModeKeys.TRAIN)
      specs.append(spec)
      with tf.control_dependencies([spec.train_op]):
        return tf.identity(spec.loss)

    infeed = tf.nest.flatten(batch)
    tf.tpu.replicate(
      step, [[tf.identity(t) for t in infeed] for _ in range(_NUM_CORES)]
    )
    operations = graph.get_operations()
    num_gradients = len(tf.trainable_variables())
    num_norms = sum(
      v.op.name.endswith('moving_mean') for v in tf.global_variables()
    )
  # Images come as the config says.
  assert infeed[0].dtype == tf.bfloat16
  assert infeed[0].shape == (64, 64, 3, 2)
  sums = [op for op in operations if op.type == 'CrossReplicaSum']
  shapes = collections.Counter(op.inputs[0].shape.ndims for op in sums)
  # The number of positive anchors.
  assert shapes[0] == 1
  # Mean and variance of each layer, and the gradient of either.
  num_moments = 4 * num_norms if use_sync_bn else 0
  assert len(sums) == 1 + num_gradients + num_moments
  # The norm is that of what all cores sum up.
  squares = [op for op in operations if op.type == 'L2Loss']
  of_sums = [op for op in squares if op.inputs[0].op in sums]
  assert len(of_sums) == num_gradients
  (spec,) = specs
  assert spec.loss.dtype == tf.float32
  # The host gets a value a core, of which it takes the mean.
  _, tensors = spec.host_call
  assert any('gradient_norm' in tensor.op.inputs[0].name for tensor in tensors)
  assert all(tensor.shape == (1,) for tensor in tensors)
