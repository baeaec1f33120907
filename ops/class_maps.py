"""Class maps: the class of each pixel."""

from typing import Sequence, Tuple

import tensorflow.compat.v1 as tf


def ious(confusion: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """IoU of each class.

  Args:
    confusion: float32 [num_classes, num_classes], pixels by true and predicted
      class.

  Returns:
    Each [num_classes]: IoU, 0 of a class that does not occur; whether it is
    true or predicted anywhere; whether it is true anywhere.
  """
  true, predicted = (tf.reduce_sum(confusion, axis=axis) for axis in (1, 0))
  hits = tf.linalg.diag_part(confusion)
  union = true + predicted - hits
  return tf.div_no_nan(hits, union), union > 0, true > 0


def of_image(
  logits: tf.Tensor,
  image_info: tf.Tensor,
  padded_size: Sequence[int],
  threshold: tf.Tensor,
) -> Tuple[tf.Tensor, tf.Tensor]:
  """Most probable classes in an image as it was before it was resized.

  Args:
    logits: float32 [h, w, num_classes], of the padded image.
    image_info: float32 [4, 2], see `preprocess_ops.ResizePlan`.
    padded_size: (height, width) of the network's image, pixels.
    threshold: scalar; probabilities up to it give no score.

  Returns:
    Classes and scores, uint8 [height, width]; of a score, 255 is 1.
  """
  original_size, scale = image_info[0], image_info[2]
  height, width = tf.unstack(tf.cast(original_size * scale, tf.int32), num=2)
  logits = tf.image.resize_bilinear(logits[tf.newaxis], padded_size)
  logits = tf.image.resize_bilinear(
    logits[:, : tf.maximum(height, 1), : tf.maximum(width, 1)],
    tf.cast(original_size, tf.int32),
  )[0]
  best = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
  scores = tf.where(best > threshold, best, tf.zeros_like(best))
  return (
    tf.cast(tf.argmax(logits, axis=-1), tf.uint8),
    tf.cast(tf.minimum(scores * 255.0, 255.0), tf.uint8),
  )
