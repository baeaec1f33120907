"""A batch in parts gives what the batch at once gives."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import model_builder
from modeling.training import accumulation
from tests import golden_numbers
from tools import synthetic_batch
from utils import errors

_BATCH = 4
_SMALL = {
  'resnet': {'resnet_depth': 10},
  'fpn': {'fpn_feat_dims': 8},
  'retinanet_head': {'num_convs': 1, 'num_filters': 8},
  'architecture': {'num_classes': 3, 'min_level': 3, 'max_level': 5},
  'retinanet_parser': {'output_size': [64, 64]},
  'train': {
    'l2_weight_decay': 0.01,
    'learning_rate': {'warmup_steps': 0, 'init_learning_rate': 1e-4},
  },
}
_FROZEN = {'batch_norm_activation': {'batch_norm_trainable': False}}


def _params(num_parts, *overrides):
  params = golden_numbers.make_params(_SMALL)
  params.train.override({'gradient_accumulation_steps': num_parts})
  for override in overrides:
    params.override(override)
  return params


def _train(params, steps=2, select=slice(None)):
  """Variables before and after some steps, and the losses of the steps."""
  with tf.Graph().as_default(), golden_numbers.make_session() as session:
    images, labels = synthetic_batch.make(params, _BATCH)
    images, labels = tf.nest.map_structure(
      lambda t: tf.convert_to_tensor(t)[select], (images, labels)
    )
    tf.train.get_or_create_global_step()
    # `load_weights` gives the variable of the images small values.
    spec = model_builder.ModelFn(params)(
      100.0 * images, labels, tf.estimator.ModeKeys.TRAIN
    )
    golden_numbers.load_weights(session)
    variables = {v.op.name: v for v in tf.global_variables()}
    before = session.run(variables)
    losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(steps)]
    return before, session.run(variables), losses


def test_parts_equal_the_batch():
  override = {
    'retinanet_loss': {'normalizer_momentum': 0.9},
    'train': {
      'frozen_variable_prefix': r'resnet10\/conv2d\/',
      'gradient_clip_norm': 0.5,
    },
  }
  _, whole, whole_losses = _train(_params(1, _FROZEN, override))
  before, parts, parts_losses = _train(_params(4, _FROZEN, override))
  np.testing.assert_allclose(parts_losses, whole_losses, rtol=1e-5)
  # Also the names: a checkpoint does not know how it was trained.
  assert set(parts) == set(whole)
  for name, value in whole.items():
    # The slots are sums of gradients, without the rounding of a weight.
    atol = 1e-5 * np.abs(value).max() if name.endswith('/Momentum') else 1e-6
    np.testing.assert_allclose(
      parts[name], value, rtol=0, atol=atol, err_msg=name
    )
  assert parts['global_step'] == 2
  moved = [n for n in parts if not np.array_equal(parts[n], before[n])]
  assert len(moved) > 50


@pytest.mark.slow
def test_each_part_moves_the_averages_of_batch_norm():
  still = {
    'train': {'learning_rate': {'init_learning_rate': 0.0}},
    'batch_norm_activation': {'batch_norm_momentum': 0.75},
  }
  name = 'resnet10/batch_normalization/moving_mean'
  before, after, _ = _train(_params(2, still), steps=1)
  # The first layer's input does not depend on other batch norms, so the mean
  # of a part follows from one step on it alone.
  momentum = 0.75
  means = []
  for select in (slice(0, 2), slice(2, 4)):
    _, alone, _ = _train(_params(1, still), steps=1, select=select)
    means.append((alone[name] - momentum * before[name]) / (1 - momentum))
  expected = before[name]
  for mean in means:
    expected = momentum * expected + (1 - momentum) * mean
  assert np.abs(means[0] - means[1]).max() > 0.01
  np.testing.assert_allclose(after[name], expected, atol=1e-6)
  assert np.abs(after[name] - before[name]).max() > 0.01


def test_batch_that_does_not_divide_is_refused():
  with pytest.raises(errors.ConfigError) as info:
    _train(_params(3))
  assert str(info.value).startswith('train.gradient_accumulation_steps: 3 ')
  assert 'the 4 images' in str(info.value)


@pytest.mark.parametrize('uses_xla', [False, True])
def test_sums_and_what_is_none(uses_xla):
  batch = np.arange(12, dtype=np.float32).reshape(6, 2)

  def sums():
    def compute(part):
      assert part.shape.as_list() == [2, 2]
      return {'products': part[0] * part[1], 'nothing': None}

    def outline(part):
      return dict.fromkeys(['products', 'nothing'], part[0])

    results = accumulation.sum_over_parts(
      compute, tf.constant(batch), 3, outline
    )
    assert results['nothing'] is None
    return results['products']

  with tf.Graph().as_default(), tf.Session() as session:
    if uses_xla:
      (tensor,) = tf.xla.experimental.compile(sums)
    else:
      tensor = sums()
    np.testing.assert_allclose(
      session.run(tensor),
      (batch[0::2] * batch[1::2]).sum(axis=0),
    )
