"""Losses against values worked out by hand and plain formulas in numpy."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import losses

_LN2 = np.log(2.0)


def _run(loss, predictions, targets, normalizer, dtype=tf.float32):
  """Returns the loss and its gradients by level."""
  with tf.Graph().as_default(), tf.Session() as session:
    x = {k: tf.constant(v, dtype) for k, v in predictions.items()}
    t = {k: tf.constant(v) for k, v in targets.items()}
    value = loss(x, t, tf.constant(normalizer, tf.float32))
    assert value.dtype == tf.float32
    assert value.shape.as_list() == []
    levels = sorted(x)
    gradients = tf.gradients(value, [x[k] for k in levels])
    value, gradients = session.run([value, gradients])
  return value, dict(zip(levels, gradients))


def _focal(x, targets, num_classes, alpha, gamma):
  """Sum and gradient, float64, in the textbook's terms."""
  x = np.asarray(x, np.float64).reshape(-1, num_classes)
  targets = np.asarray(targets).reshape(-1, 1)
  positive = targets == np.arange(num_classes)
  y = np.where(positive, -x, x)  # Logit of the wrong answer.
  p = np.exp(-np.logaddexp(0, -y))
  cross_entropy = np.logaddexp(0, y)
  weight = np.where(positive, alpha, 1 - alpha) * (targets != -2)
  value = weight * p**gamma * cross_entropy
  slope = weight * p**gamma * (p + gamma * (1 - p) * cross_entropy)
  return value.sum(), np.where(positive, -slope, slope)


def _random_levels(rng, num_classes, scale=3.0):
  logits, targets = {}, {}
  for level, (h, w) in {3: (4, 6), 4: (2, 3)}.items():
    logits[level] = scale * rng.standard_normal([2, h, w, 2 * num_classes])
    logits[level] = logits[level].astype(np.float32)
    targets[level] = rng.randint(-2, num_classes, [2, h, w, 2])
    targets[level] = targets[level].astype(np.int32)
  return logits, targets


def test_class_loss_by_hand():
  # One anchor, 3 classes, all logits 0: p = 1/2 everywhere.
  loss = losses.RetinanetClassLoss(0.25, 2.0, 3)
  value, _ = _run(loss, {3: np.zeros([1, 1, 1, 3])}, {3: [[[[2]]]]}, 1.0)
  want = 0.25 * _LN2 * (0.25 + 0.75 + 0.75) / 2.0
  np.testing.assert_allclose(value, want, rtol=1e-6)


def test_background_and_unmatched_are_negatives_and_class_0_has_no_positives():
  loss = losses.RetinanetClassLoss(0.25, 0.0, 2)
  logits = {3: [[[[1.0, -1.0]]]]}
  value, _ = _run(loss, logits, {3: [[[[-1]]]]}, 0.0)
  want = 0.75 * (np.log1p(np.exp(1.0)) + np.log1p(np.exp(-1.0)))
  np.testing.assert_allclose(value, want, rtol=1e-6)


@pytest.mark.parametrize('alpha,gamma', [(0.25, 1.5), (0.5, 2.0), (0.9, 0.0)])
@pytest.mark.parametrize('normalizer', [[3.0, 7.0], 10.0])
def test_class_loss_and_gradient(alpha, gamma, normalizer):
  logits, targets = _random_levels(np.random.RandomState(0), 5)
  loss = losses.RetinanetClassLoss(alpha, gamma, 5)
  value, gradients = _run(loss, logits, targets, normalizer)
  total = 0.0
  for level in logits:
    want, slope = _focal(logits[level], targets[level], 5, alpha, gamma)
    total += want
    slope = slope.reshape(logits[level].shape) / 11.0
    np.testing.assert_allclose(
      gradients[level], slope, rtol=1e-5, atol=1e-6 * np.abs(slope).max()
    )
  np.testing.assert_allclose(value, total / 11.0, rtol=1e-6)


def test_class_loss_gradient_agrees_with_differences():
  rng = np.random.RandomState(1)
  x = rng.standard_normal([6, 3]).astype(np.float32)
  with tf.Graph().as_default(), tf.Session():
    logits = tf.constant(x)
    targets = tf.constant([2, -1, -2, 0, 1, -1])
    value = losses.focal_loss_sum(logits, targets, 0.25, 1.5)
    error = tf.test.compute_gradient_error(
      logits, [6, 3], value, [], x_init_value=x, delta=1e-2
    )
  assert error < 1e-3


def test_gradient_is_scaled_by_what_comes_after():
  logits, targets = _random_levels(np.random.RandomState(2), 3)
  plain = losses.RetinanetClassLoss(0.25, 1.5, 3)
  _, want = _run(plain, logits, targets, 4.0)
  _, got = _run(lambda *args: -3.0 * plain(*args), logits, targets, 4.0)
  for level in want:
    np.testing.assert_allclose(got[level], -3.0 * want[level], rtol=1e-5)


def test_ignored_anchors_have_no_loss_and_no_gradient():
  loss = losses.RetinanetClassLoss(0.25, 1.5, 3)
  logits = np.array([[[[5.0, 6.0, 7.0, 1.0, 1.0, 1.0]]]])
  value, gradients = _run(loss, {3: logits}, {3: [[[[-2, -1]]]]}, 0.0)
  want, _ = _focal(logits[..., 3:], [-1], 3, 0.25, 1.5)
  np.testing.assert_allclose(value, want, rtol=1e-6)
  np.testing.assert_array_equal(gradients[3][..., :3], np.zeros([1, 1, 1, 3]))
  assert (gradients[3][..., 3:] > 0).all()


def test_no_object_in_the_batch():
  logits = {3: np.full([2, 2, 2, 3], -2.0)}
  targets = {3: np.full([2, 2, 2, 1], -1, np.int32)}
  loss = losses.RetinanetClassLoss(0.25, 1.5, 3)
  value, _ = _run(loss, logits, targets, [0.0, 0.0])
  want, _ = _focal(logits[3], targets[3], 3, 0.25, 1.5)
  np.testing.assert_allclose(value, want, rtol=1e-6)


def test_huge_logits():
  # Wrong by 100: loss 100 with slope 1. Right by 100: nothing.
  loss = losses.RetinanetClassLoss(0.25, 1.5, 2)
  for target, sign in ((1, -1.0), (-1, 1.0)):
    logits = {3: [[[[-100.0, sign * 100.0]]]]}
    weight = 0.25 if target == 1 else 0.75
    value, gradients = _run(loss, logits, {3: [[[[target]]]]}, 0.0)
    np.testing.assert_allclose(value, weight * 100.0, rtol=1e-6)
    np.testing.assert_allclose(
      gradients[3].ravel(), [0.0, sign * weight], rtol=1e-6, atol=1e-30
    )
    logits = {3: [[[[-100.0, -sign * 100.0]]]]}
    value, gradients = _run(loss, logits, {3: [[[[target]]]]}, 0.0)
    np.testing.assert_allclose(value, 0.0, atol=1e-30)
    np.testing.assert_allclose(gradients[3].ravel(), [0.0, 0.0], atol=1e-30)


def test_confident_positives_do_not_drown_small_losses():
  # 500 certain positives and one hesitant negative, whose loss counts.
  targets = np.full([1, 1, 501, 1], 1, np.int32)
  targets[0, 0, 500, 0] = -1
  logits = np.tile(np.float32([-60.0, 60.0]), [1, 1, 501, 1])
  logits[0, 0, 500] = [-60.0, -5.0]
  loss = losses.RetinanetClassLoss(0.25, 1.5, 2)
  value, _ = _run(loss, {3: logits}, {3: targets}, 0.0)
  want, _ = _focal([-5.0], [-1], 1, 0.25, 1.5)
  np.testing.assert_allclose(value, want, rtol=1e-5)


def test_losses_in_float32_when_outputs_are_bfloat16():
  logits, targets = _random_levels(np.random.RandomState(3), 3)
  logits = {k: np.round(v * 4) / 4 for k, v in logits.items()}  # Exact in both.
  loss = losses.RetinanetClassLoss(0.25, 1.5, 3)
  want, _ = _run(loss, logits, targets, 4.0)
  got, gradients = _run(loss, logits, targets, 4.0, tf.bfloat16)
  np.testing.assert_allclose(got, want, rtol=1e-6)
  assert gradients[3].dtype == tf.bfloat16.as_numpy_dtype


def test_loss_that_is_not_a_number_shows():
  loss = losses.RetinanetClassLoss(0.25, 1.5, 2)
  value, _ = _run(loss, {3: [[[[0.0, np.nan]]]]}, {3: [[[[-1]]]]}, 0.0)
  assert np.isnan(value)


def test_box_loss_by_hand():
  # Errors .05 (quadratic), .3 (linear); the third coordinate's target is 0.
  boxes = {3: [[[[0.15, -0.1, 9.0, 0.7]]]]}
  targets = {3: [[[[0.1, 0.2, 0.0, 0.7]]]]}
  value, gradients = _run(losses.RetinanetBoxLoss(0.1), boxes, targets, 1.0)
  want = 0.5 * 0.05**2 + (0.5 * 0.1**2 + 0.1 * 0.2)
  np.testing.assert_allclose(value, want / 8.0, rtol=1e-5)
  np.testing.assert_allclose(
    gradients[3].ravel(), np.array([0.05, -0.1, 0.0, 0.0]) / 8.0, atol=1e-7
  )


@pytest.mark.parametrize('normalizer', [[3.0, 7.0], 10.0])
def test_box_loss_sums_levels_and_images(normalizer):
  rng = np.random.RandomState(0)
  shapes = {3: [2, 4, 6, 8], 4: [2, 2, 3, 8]}
  boxes = {k: rng.standard_normal(s) for k, s in shapes.items()}
  targets = {
    k: (rng.standard_normal(s) * (rng.rand(*s) < 0.4)).astype(np.float32)
    for k, s in shapes.items()
  }
  loss = losses.RetinanetBoxLoss(0.5)
  value, gradients = _run(loss, boxes, targets, normalizer)
  total = 0.0
  for level in shapes:
    difference = boxes[level] - targets[level]
    error, mask = np.abs(difference), targets[level] != 0
    huber = np.where(error < 0.5, 0.5 * error**2, 0.5 * error - 0.125)
    total += (huber * mask).sum()
    np.testing.assert_allclose(
      gradients[level],
      np.clip(difference, -0.5, 0.5) * mask / 44.0,
      rtol=1e-4,
      atol=1e-7,
    )
  np.testing.assert_allclose(value, total / 44.0, rtol=1e-6)


def test_box_loss_without_matched_anchors_is_zero():
  boxes = {3: np.ones([2, 1, 1, 4])}
  targets = {3: np.zeros([2, 1, 1, 4], np.float32)}
  value, gradients = _run(
    losses.RetinanetBoxLoss(0.1), boxes, targets, [0.0, 0.0]
  )
  assert value == 0.0
  np.testing.assert_array_equal(gradients[3], np.zeros([2, 1, 1, 4]))
