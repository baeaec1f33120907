"""Counts of objects that labels have no room for."""

from typing import Any, Callable

import tensorflow.compat.v1 as tf

from dataloader import graph_warnings


def count(
  dataset: tf.data.Dataset,
  num_objects: Callable[[Any], tf.Tensor],
  max_num_instances: int,
  key: str,
) -> tf.data.Dataset:
  """Tells of images with more objects than labels hold.

  Args:
    dataset: of batches.
    num_objects: of a batch, int32 [batch, 1].
    max_num_instances: objects of an image that labels hold.
    key: config key of that number.
  """

  def count_batch(state, batch):
    before, objects = tf.unstack(state)
    surplus = tf.maximum(num_objects(batch) - max_num_instances, 0)
    images = before + tf.math.count_nonzero(surplus, dtype=tf.int32)
    objects += tf.reduce_sum(surplus)
    report = graph_warnings.warn_when_doubled(
      before,
      images,
      images,
      f'images so far have more objects than {key} = {max_num_instances};',
      objects,
      'objects are missing in their groundtruth. Raise it.',
    )
    with tf.control_dependencies([report]):
      return tf.stack([images, objects]), batch

  return dataset.apply(
    tf.data.experimental.scan(
      tf.zeros([2], tf.int32),
      tf.autograph.experimental.do_not_convert(
        lambda s, *b: count_batch(s, _item(b))
      ),
    )
  )


def _item(parts: Any) -> Any:
  return parts[0] if len(parts) == 1 else parts
