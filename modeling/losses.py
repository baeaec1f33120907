"""Losses: focal and Huber of anchors, cross entropy of images or pixels."""

from typing import Callable, Dict, Optional, Sequence

import tensorflow.compat.v1 as tf

LevelTensors = Dict[int, tf.Tensor]

# Of the class targets; every other negative value is background.
IGNORED = -2

_FOCAL_LOSS_SUM = 'FocalLossSum'


class RetinanetClassLoss:
  """Focal loss over all anchors and classes (Lin et al., arXiv:1708.02002).

  With `p` the probability that the logit gives to the wrong answer, an element
  costs `w * p ** gamma * -log(1 - p)`, `w` being `alpha` for the class of a
  matched anchor and `1 - alpha` for all others. Class 0, background, is a
  negative of every anchor.

  Args:
    alpha: weight of positives, in [0, 1].
    gamma: focusing exponent, at least 0.
    num_classes: classes, background included.
    recompute: marks what need not be kept for the backward pass; see
      `modeling.architecture.recompute`.
  """

  def __init__(
    self,
    alpha: float,
    gamma: float,
    num_classes: int,
    recompute: Optional[Callable[..., tf.Tensor]] = None,
  ):
    self._recompute = recompute
    self._alpha = float(alpha)
    self._gamma = float(gamma)
    self._num_classes = num_classes

  def __call__(
    self, logits: LevelTensors, targets: LevelTensors, normalizer: tf.Tensor
  ) -> tf.Tensor:
    """Sum over all levels, images, anchors and classes, normalised.

    Args:
      logits: {level: float [batch, h, w, anchors * num_classes]}, class
        fastest.
      targets: {level: int32 [batch, h, w, anchors]}; the class of a matched
        anchor, -1 unmatched, -2 ignored.
      normalizer: number of positive anchors, a scalar or one for each image;
        the loss is divided by its sum + 1.

    Returns:
      Scalar float32.
    """
    sums = [self._level_sum(logits[k], targets[k]) for k in logits]
    return tf.add_n(sums) / _divisor(normalizer)

  def _level_sum(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    level_sum = focal_loss_sum(
      tf.cast(tf.reshape(logits, [-1, self._num_classes]), tf.float32),
      tf.reshape(targets, [-1]),
      self._alpha,
      self._gamma,
    )
    if self._recompute is None:
      return level_sum
    return self._recompute(level_sum, [logits, targets], is_training=True)


class RetinanetBoxLoss:
  """Huber loss over the coordinates of matched anchors.

  Args:
    delta: error, in units of the encoded boxes, above which the loss is
      linear.
  """

  def __init__(self, delta: float):
    self._delta = float(delta)

  def __call__(
    self, boxes: LevelTensors, targets: LevelTensors, normalizer: tf.Tensor
  ) -> tf.Tensor:
    """Sum over all levels, images, anchors and coordinates, normalised.

    Args:
      boxes: {level: float [batch, h, w, anchors * 4]}, encoded.
      targets: {level: float [batch, h, w, anchors * 4]}, encoded; a coordinate
        that is exactly 0 takes no part, as do unmatched anchors, which are all
        zeros.
      normalizer: number of positive anchors, a scalar or one for each image;
        the loss is divided by 4 * (its sum + 1).

    Returns:
      Scalar float32.
    """
    sums = [self._level_sum(boxes[k], targets[k]) for k in boxes]
    return tf.add_n(sums) / (4.0 * _divisor(normalizer))

  def _level_sum(self, boxes: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    is_target = tf.cast(tf.not_equal(targets, 0.0), tf.float32)
    return huber_sum(boxes, targets, is_target, self._delta)


class ClassificationLoss:
  """Softmax cross entropy with label smoothing (arXiv:1512.00567).

  Args:
    label_smoothing: share of the target that is spread over all classes.
    class_weights: factor of the loss of each class; none for 1.
  """

  def __init__(
    self, label_smoothing: float = 0.0, class_weights: Sequence[float] = ()
  ):
    self._label_smoothing = float(label_smoothing)
    self._class_weights = [float(weight) for weight in class_weights]

  def __call__(
    self, logits: tf.Tensor, classes: tf.Tensor, normalizer: tf.Tensor
  ) -> tf.Tensor:
    """Sum over the images of a batch, or over pixels, normalised.

    Args:
      logits: float32 [n, num_classes].
      classes: int32 [n]; -1 takes no part.
      normalizer: scalar, what the sum is divided by.

    Returns:
      Scalar float32.
    """
    losses = tf.losses.softmax_cross_entropy(
      tf.one_hot(classes, logits.shape[1]),
      logits,
      label_smoothing=self._label_smoothing,
      reduction=tf.losses.Reduction.NONE,
    )
    weights = is_counted(classes)
    if self._class_weights:
      weights *= tf.gather(self._class_weights, tf.maximum(classes, 0))
    return tf.reduce_sum(losses * weights) / normalizer


def huber_sum(
  values: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, delta: float
) -> tf.Tensor:
  """Sum of the Huber loss (Huber, 1964).

  Args:
    values: float tensor.
    targets: of the same shape.
    weights: float32, 0 or 1, broadcasts to that shape; 0 takes no part.
    delta: error above which the loss is linear.

  Returns:
    Scalar float32.
  """
  targets = tf.cast(targets, tf.float32)
  error = tf.abs(tf.cast(values, tf.float32) - targets) * weights
  quadratic = tf.minimum(error, delta)
  linear = error - quadratic
  return tf.reduce_sum(0.5 * tf.square(quadratic) + delta * linear)


def is_counted(classes: tf.Tensor) -> tf.Tensor:
  """1.0 for the images (pixels) of `classes` that have one; 0.0 for -1."""
  return tf.cast(classes >= 0, tf.float32)


def focal_loss_sum(
  logits: tf.Tensor, targets: tf.Tensor, alpha: float, gamma: float
) -> tf.Tensor:
  """Sum of the focal loss over anchors and classes.

  This runs over millions of elements a step, so the gradient is written in
  closed form, from the forward pass's exponentials. Finite for logits of any
  finite size.

  Args:
    logits: float32 [n, num_classes].
    targets: int32 [n]; class, -1 unmatched, -2 ignored.
    alpha: weight of positives.
    gamma: focusing exponent.

  Returns:
    Scalar float32, differentiable (once) with respect to `logits`.
  """
  # +1 for negatives, -1 for positives: sign * logit is then the logit of the
  # wrong answer, and weight = 0.5 + (0.5 - alpha) * sign.
  sign = tf.one_hot(
    targets, logits.shape[1], on_value=-1.0, off_value=1.0, dtype=tf.float32
  )
  counted = tf.cast(tf.not_equal(targets, IGNORED), tf.float32)

  wrong = sign * logits
  log1p_exp = tf.log1p(tf.exp(-tf.abs(wrong)))
  cross_entropy = tf.maximum(wrong, 0.0) + log1p_exp
  log_p = tf.minimum(wrong, 0.0) - log1p_exp
  modulator = tf.exp(gamma * log_p)
  value = modulator * cross_entropy
  by_anchor = 0.5 * tf.reduce_sum(value, axis=1)
  by_anchor += (0.5 - alpha) * tf.reduce_sum(sign * value, axis=1)
  loss_sum = tf.reduce_sum(counted * by_anchor)
  # All that the gradient takes is an input of the node, so that a copy of the
  # node has a gradient of its own (see `recompute`).
  parameters = [tf.constant(alpha), tf.constant(gamma)]
  forward = [sign, counted, log_p, modulator, value]
  graph = tf.get_default_graph()
  with graph.gradient_override_map({'IdentityN': _FOCAL_LOSS_SUM}):
    return tf.identity_n([loss_sum, logits, *forward, *parameters])[0]


@tf.RegisterGradient(_FOCAL_LOSS_SUM)
def _focal_loss_sum_gradient(op, upstream, *unused):
  """Gradient with respect to the logits, the second input."""
  sign, counted, log_p, modulator, value, alpha, gamma = op.inputs[2:]
  p = tf.exp(log_p)
  slope = modulator * p + (gamma * value) * (1.0 - p)
  # Multiplied by sign * weight, sign * sign being 1.
  slope *= 0.5 * sign + (0.5 - alpha)
  logits_gradient = slope * (counted * upstream)[:, tf.newaxis]
  return [None, logits_gradient] + [None] * (len(unused) - 1)


def _divisor(normalizer: tf.Tensor) -> tf.Tensor:
  # The added 1 keeps images without any object from dividing by 0.
  return tf.reduce_sum(tf.cast(normalizer, tf.float32)) + 1.0
