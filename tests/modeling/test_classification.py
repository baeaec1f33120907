"""Head, loss and metrics of classifiers."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import factory, losses
from modeling.architecture import layer_kit
from modeling.architecture.heads import classification_head
from tests import golden_numbers
from utils import errors, mode_keys


def _params(**changes):
  return golden_numbers.make_params(
    {
      'type': 'classification',
      'architecture': {'num_classes': 6},
      'resnet': {'resnet_depth': 18},
      **changes,
    }
  )


def _maps(channels):
  random = np.random.RandomState(0)
  return {
    level: random.standard_normal((2, side, side, channels)).astype(np.float32)
    for level, side in zip(range(3, 8), (28, 14, 7, 4, 2))
  }


def test_all_levels_are_averaged_at_the_finest():
  maps = _maps(8)
  with tf.Graph().as_default(), tf.Session() as session:
    mean = classification_head.AGGREGATIONS.get('all')(
      {level: tf.constant(value) for level, value in maps.items()}
    )
    mean = session.run(mean)
  total = maps[7]
  for level in (6, 5, 4, 3):
    size = maps[level].shape[1]
    source = np.floor(np.arange(size) * total.shape[1] / size).astype(int)
    total = total[:, source][:, :, source] + maps[level]
  np.testing.assert_allclose(mean, total / 5, atol=1e-6)


def test_levels_of_several_widths_cannot_be_averaged():
  params = _params(classification_head={'aggregation': 'all'})
  with tf.Graph().as_default(), pytest.raises(
    errors.ConfigError,
    match='aggregation: .*differ: 64, 128, 256, 512 of levels 2 to 5. Use',
  ):
    factory.model_generator(params).build_outputs(
      tf.zeros([1, 64, 64, 3]), None, mode_keys.TRAIN
    )
  params = _params(classification_head={'aggregation': 'al'})
  with pytest.raises(errors.ConfigError, match="mean 'all'"):
    factory.model_generator(params)


def test_dropout_is_for_training():
  def logits(is_training):
    with tf.Graph().as_default(), tf.Session() as session:
      tf.set_random_seed(1)
      head = classification_head.ClassificationHead(
        3, layer_kit.from_params(_params()), dropout_rate=0.5
      )
      outputs = head({3: tf.ones([2, 4, 4, 400])}, is_training)
      session.run(tf.global_variables_initializer())
      return session.run(outputs)

  # Both images are the same.
  np.testing.assert_array_equal(*logits(False))
  assert np.abs(np.subtract(*logits(True))).max() > 0.01


@pytest.mark.parametrize('smoothing', [0.0, 0.2])
def test_images_without_a_class_do_not_count(smoothing):
  logits = np.random.RandomState(0).randn(4, 5).astype(np.float32)
  classes = np.int32([1, -1, 4, -1])
  with tf.Graph().as_default(), tf.Session() as session:
    loss = session.run(
      losses.ClassificationLoss(smoothing)(
        tf.constant(logits), tf.constant(classes), 2.0
      )
    )
  targets = np.eye(5)[classes] * (1 - smoothing) + smoothing / 5
  log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  wanted = -(targets * log_softmax).sum(1)[[0, 2]].mean()
  assert loss == pytest.approx(wanted, rel=1e-5)


def test_losses_of_parts_add_up():
  model = factory.model_generator(_params())
  with tf.Graph().as_default(), tf.Session() as session:
    logits = tf.constant(np.random.RandomState(0).randn(4, 6), tf.float32)
    classes = tf.constant([1, 0, -1, 5])
    count, logged = model.loss_normalizer(classes)
    parts = [
      model.normalized_losses({'logits': logits[part]}, classes[part], count)
      for part in (slice(0, 2), slice(2, 4))
    ]
    whole = model.build_losses({'logits': logits}, classes)
    first, second, whole = session.run([*parts, whole])
  assert model.losses_add_up and logged == {}
  total = first['model_loss'] + second['model_loss']
  assert total == pytest.approx(whole['model_loss'], rel=1e-5)


def test_accuracies_leave_padding_out():
  model = factory.model_generator(_params())
  logits = np.tile(np.arange(6, 0, -1, dtype=np.float32), [4, 1])
  with tf.Graph().as_default(), tf.Session() as session:
    make, tensors = model.eval_metrics(
      {'logits': tf.constant(logits)}, tf.constant([0, 4, 5, -1])
    )
    metrics = make(*tensors)
    session.run(tf.local_variables_initializer())
    session.run([update for _, update in metrics.values()])
    values = session.run({name: value for name, (value, _) in metrics.items()})
  assert values == {
    'top_1_accuracy': pytest.approx(1 / 3),
    'top_5_accuracy': pytest.approx(2 / 3),
  }
