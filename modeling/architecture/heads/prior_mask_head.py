"""Head that mixes shape priors for each box (Kuo et al., arXiv:1904.03239)."""

from typing import Dict, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from modeling.training import replicas
from ops import spatial_transform_ops


class PriorMaskHead:
  """Features of boxes, and the priors that suit them.

  Args:
    priors: float32 [classes or 1, clusters, side, side], what objects of a
      class look like within their box; with one row it is that of all classes.
    num_filters: channels of the features.
    crop_size: side of the crops, cells.
  """

  def __init__(self, priors: np.ndarray, num_filters: int, crop_size: int):
    self._priors = np.asarray(priors, np.float32)
    self._num_filters = num_filters
    self._crop_size = crop_size

  def __call__(
    self,
    features: Dict[int, tf.Tensor],
    boxes: tf.Tensor,
    outer_boxes: tf.Tensor,
    classes: tf.Tensor,
  ) -> Tuple[tf.Tensor, tf.Tensor]:
    """Returns features [batch, n, size, size, filters] and priors.

    Args:
      features: {level: [batch, h, w, channels]}, all but batch static.
      boxes: float32 [batch, n, 4], `[ymin, xmin, ymax, xmax]`, pixels of the
        model's image.
      outer_boxes: float32 [batch, n, 4], what the results cover.
      classes: int32 [batch, n], of the boxes.

    Returns:
      The priors are [batch, n, size, size], 0 outside of the boxes.
    """
    num_classes, num_clusters, *sides = self._priors.shape
    num_boxes, size = boxes.shape.as_list()[1], self._crop_size
    with tf.variable_scope('prior_mask'):
      features = spatial_transform_ops.multilevel_crop_and_resize(
        features, outer_boxes, size, has_sparse_ops=not replicas.is_on_tpu()
      )
      features = tf.layers.dense(features, self._num_filters)
      ones = tf.ones_like(boxes[..., :1, tf.newaxis])
      inside = self._placed(
        tf.tile(ones, [1, 1, size, size]), boxes, outer_boxes
      )
      inside = tf.cast(inside, features.dtype)[..., tf.newaxis]
      weights = tf.layers.dense(
        tf.reduce_mean(features * inside, axis=[2, 3]),
        num_classes * num_clusters,
        kernel_initializer=tf.random_normal_initializer(stddev=0.01),
      )
      weights = tf.reshape(weights, [-1, num_boxes, num_classes, num_clusters])
      rows = classes if num_classes > 1 else tf.zeros_like(classes)
      one_hot = tf.one_hot(rows, num_classes, dtype=weights.dtype)
      weights = tf.reduce_sum(weights * one_hot[..., tf.newaxis], axis=2)
      weights = tf.nn.softmax(tf.cast(weights, tf.float32))
      flat = self._priors.reshape([num_classes, num_clusters, -1])
      priors = tf.matmul(
        weights[:, :, tf.newaxis], tf.gather(tf.constant(flat), rows)
      )
      priors = tf.reshape(priors, [-1, num_boxes, *sides])
      return features, self._placed(priors, boxes, outer_boxes)

  def _placed(
    self, masks: tf.Tensor, boxes: tf.Tensor, outer_boxes: tf.Tensor
  ) -> tf.Tensor:
    """Masks within boxes, as the outer boxes show them."""
    return spatial_transform_ops.crop_masks(
      masks, boxes, outer_boxes, self._crop_size, sample_offset=0.0
    )
