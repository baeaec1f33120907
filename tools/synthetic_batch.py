"""A batch of noise with targets, for timing networks without data."""

from typing import Any, Dict, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import anchors, preprocess_ops

_POSITIVE_SHARE = 1e-3


def make(params: Any, batch_size: int) -> Tuple[tf.Tensor, Dict[str, Any]]:
  """Images and training targets as a training run has them.

  Args:
    params: a RetinaNet config.
    batch_size: number of images.

  Returns:
    A variable of images [batch, height, width, 3], padded to the stride of
    the highest level, and labels as the input pipeline delivers them, of which
    one anchor in a thousand is positive.
  """
  rng = np.random.RandomState(0)
  architecture, anchor = params.architecture, params.anchor
  height, width = preprocess_ops.padded_size(
    params.retinanet_parser.output_size, 2**architecture.max_level
  )
  images = tf.Variable(
    rng.randn(batch_size, height, width, 3).astype(np.float32), trainable=False
  )
  boxes = anchors.Anchors(
    architecture.min_level,
    architecture.max_level,
    anchor.num_scales,
    anchor.aspect_ratios,
    anchor.anchor_size,
    (height, width),
  ).boxes_by_level
  per_location = anchor.num_scales * len(anchor.aspect_ratios)
  class_targets, box_targets, positives = {}, {}, np.zeros(batch_size)
  for level in boxes:
    cells = [-(-side // 2**level) for side in (height, width)]
    shape = [batch_size, *cells, per_location]
    is_positive = rng.rand(*shape) < _POSITIVE_SHARE
    positives += is_positive.sum((1, 2, 3))
    classes = rng.randint(1, architecture.num_classes, shape)
    class_targets[level] = tf.constant(
      np.where(is_positive, classes, -1), tf.int32
    )
    offsets = rng.randn(*shape, 4) * is_positive[..., None]
    box_targets[level] = tf.constant(
      offsets.reshape(shape[:3] + [-1]), tf.float32
    )
  labels = {
    'cls_targets': class_targets,
    'box_targets': box_targets,
    'num_positives': tf.constant(positives, tf.float32),
  }
  return images, labels
