"""Three training steps give the original's losses and weights.

At 128x128 the coarsest level is a single cell, where batch norm sees two values
a channel: its gradient is what is left of a cancellation and goes through five
such layers. Optimizer slots therefore differ between one thread and two, so
they are only checked to exist. The weights of the unclipped ResNet-50 run
follow that noise from the second step on; only its first loss is compared.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader
from modeling import model_builder
from tests import golden_numbers
from utils import mode_keys

_STEM_AND_C2 = (
  r'(resnet\d+)\/(conv2d(|_([1-9]|10))|'
  r'batch_normalization(|_([1-9]|10)))\/'
)
_SLOTS = ('/Momentum', '/Adam', '_power')
_COMMON = {
  'architecture': {'num_classes': 4},
  'retinanet_parser': {'output_size': [128, 128]},
}
CASES = [
  pytest.param('train_retinanet_r50_fpn', {}, marks=pytest.mark.slow),
  (
    'train_retinanet_r18_clip_frozen',
    {
      'resnet': {'resnet_depth': 18},
      'train': {
        'gradient_clip_norm': 1.0,
        'frozen_variable_prefix': _STEM_AND_C2,
      },
    },
  ),
  (
    'train_retinanet_r18_adam_cosine_norm',
    {
      'resnet': {'resnet_depth': 18},
      'train': {
        'optimizer': {'type': 'adam'},
        'learning_rate': {
          'type': 'cosine',
          'init_learning_rate': 0.001,
          'warmup_learning_rate': 0.0005,
          'warmup_steps': 2,
        },
        'total_steps': 10,
      },
      'retinanet_loss': {'normalizer_momentum': 0.9},
    },
  ),
]


def _read_batch(params):
  """The first two records as constants, with fixed targets."""
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn(
      golden_numbers.RECORDS, params, mode_keys.EVAL
    )({'batch_size': 2})
    return session.run(tf.data.make_one_shot_iterator(dataset).get_next())


@pytest.mark.parametrize('name,override', CASES)
def test_three_steps(name, override, tmp_path):
  want = golden_numbers.expected(name + '.npz')
  params = golden_numbers.make_params(_COMMON)
  params.override(override)
  params.override({'model_dir': str(tmp_path)})
  images, labels = _read_batch(params)
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    labels = tf.nest.map_structure(tf.constant, labels)
    tf.train.get_or_create_global_step()
    spec = model_builder.ModelFn(params)(
      tf.constant(images), labels, tf.estimator.ModeKeys.TRAIN
    )
    golden_numbers.load_weights(session)
    losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(3)]
    values = {
      v.op.name: value
      for v, value in zip(
        tf.global_variables(), session.run(tf.global_variables())
      )
    }
  assert golden_numbers.relative_error(want['losses'][0], losses[0]) < 1e-4
  assert set(want['names']) <= set(values)
  if name == 'train_retinanet_r50_fpn':
    return
  assert golden_numbers.relative_error(want['losses'], losses) < 2e-2
  for variable, norm in zip(want['names'], want['norms']):
    if any(slot in variable for slot in _SLOTS):
      continue
    got = np.linalg.norm(values[variable].astype(np.float64))
    assert abs(got - norm) < 2e-2 * max(norm, 1e-3), variable
