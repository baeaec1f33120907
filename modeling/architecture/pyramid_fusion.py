"""Sum of all levels of a pyramid at the size of one."""

import math
from typing import Dict

import tensorflow.compat.v1 as tf


def fuse(features: Dict[int, tf.Tensor], level: int) -> Dict[int, tf.Tensor]:
  """Replaces a level by the sum of all, or adds it where it is absent.

  Levels are resized bilinearly, aligned at the first row and column only (TF
  1), in float32. A level that is absent has the size that the nearest one of
  the pyramid implies.

  Args:
    features: {level: [batch, height, width, channels]}, sizes static, channels
      the same.
    level: the one to replace.
  """
  nearest = min(features, key=lambda present: abs(present - level))
  size = [
    math.ceil(side * 2.0 ** (nearest - level))
    for side in features[nearest].shape.as_list()[1:3]
  ]
  fused = tf.add_n(
    [
      tf.image.resize_bilinear(tf.cast(features[present], tf.float32), size)
      for present in sorted(features)
    ]
  )
  dtype = features[nearest].dtype
  return {**features, level: tf.cast(fused, dtype)}
