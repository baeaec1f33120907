"""Losses of two-stage detectors."""

from typing import Dict, NamedTuple

import tensorflow.compat.v1 as tf

from modeling import losses

LevelTensors = Dict[int, tf.Tensor]


class LossSettings(NamedTuple):
  """Constants of the losses, arguments of what follows."""

  rpn_batch_size_per_image: int
  rpn_box_delta: float
  box_delta: float


def rpn_score_loss(
  scores: LevelTensors, targets: LevelTensors, num_per_image: int
) -> tf.Tensor:
  """Cross entropy of the drawn anchors.

  Args:
    scores: {level: [batch, h, w, anchors]}, logits.
    targets: {level: int32 [batch, h, w, anchors]}; 1 object, 0 background,
      negative: takes no part.
    num_per_image: divides the loss besides the batch; of each image so many
      anchors are drawn at most.

  Returns:
    Scalar float32.
  """
  sums = []
  for level, level_scores in scores.items():
    is_drawn = tf.cast(targets[level] >= 0, tf.float32)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(
      labels=tf.cast(targets[level], tf.float32), logits=level_scores
    )
    sums.append(tf.reduce_sum(entropy * is_drawn))
  batch_size = tf.cast(tf.shape(level_scores)[0], tf.float32)
  return tf.add_n(sums) / (batch_size * num_per_image)


def rpn_box_loss(
  boxes: LevelTensors, targets: LevelTensors, delta: float
) -> tf.Tensor:
  """Huber loss of matched anchors, the mean over each level's coordinates.

  Args:
    boxes: {level: [batch, h, w, anchors * 4]}, encoded.
    targets: the same; a coordinate that is exactly 0 takes no part.
    delta: error above which the loss is linear.

  Returns:
    Scalar float32, the sum over the levels.
  """
  means = []
  for level, level_boxes in boxes.items():
    is_target = tf.cast(tf.not_equal(targets[level], 0.0), tf.float32)
    total = losses.huber_sum(level_boxes, targets[level], is_target, delta)
    means.append(tf.div_no_nan(total, tf.reduce_sum(is_target)))
  return tf.add_n(means)


def class_loss(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
  """Softmax cross entropy, the mean over all RoIs.

  Args:
    logits: [batch, n, num_classes].
    classes: int [batch, n], 0 for background.
  """
  return tf.reduce_mean(
    tf.nn.sparse_softmax_cross_entropy_with_logits(
      labels=classes, logits=logits
    )
  )


def box_loss(
  boxes: tf.Tensor, targets: tf.Tensor, classes: tf.Tensor, delta: float
) -> tf.Tensor:
  """Huber loss, the mean over the coordinates of the RoIs of objects.

  Args:
    boxes: [batch, n, 4], encoded, those of each RoI's class.
    targets: float32 [batch, n, 4].
    classes: int [batch, n], 0 for background.
    delta: error above which the loss is linear.
  """
  is_object = tf.cast(classes > 0, tf.float32)[:, :, tf.newaxis]
  total = losses.huber_sum(boxes, targets, is_object, delta)
  return tf.div_no_nan(total, 4.0 * tf.reduce_sum(is_object))


def mask_loss(
  logits: tf.Tensor, targets: tf.Tensor, classes: tf.Tensor
) -> tf.Tensor:
  """Cross entropy, the mean over the cells of the masks of objects.

  Args:
    logits: [batch, n, size, size], the mask of each RoI's class.
    targets: float32 [batch, n, size, size], in [0, 1].
    classes: int [batch, n], 0 for background.
  """
  is_object = tf.cast(classes > 0, tf.float32)
  entropy = tf.nn.sigmoid_cross_entropy_with_logits(
    labels=targets, logits=logits
  )
  total = tf.reduce_sum(tf.reduce_sum(entropy, axis=[2, 3]) * is_object)
  num_cells = targets.shape[2:].num_elements()
  return tf.div_no_nan(total, num_cells * tf.reduce_sum(is_object))
