"""What does not reach the model is counted, and the count is told.

The counts go to stderr from inside the graph: also on the hosts of a TPU, where
no Python runs beside it. They are told when they have doubled, so that they do
not fill the screen.
"""

import math
import sys
from typing import Any, Callable

import tensorflow.compat.v1 as tf

_no_autograph = tf.autograph.experimental.do_not_convert


def map_and_skip(
  dataset: tf.data.Dataset,
  function: Callable[[Any], Any],
  num_parallel_calls: int,
) -> tf.data.Dataset:
  """Maps a dataset and leaves out images whose computation fails.

  Args:
    dataset: of anything.
    function: of one element.
    num_parallel_calls: number of elements computed at a time.
  """
  numbered = tf.data.Dataset.zip((tf.data.experimental.Counter(), dataset))
  numbered = numbered.map(
    _no_autograph(lambda index, item: (index, function(item))),
    num_parallel_calls,
  )
  numbered = numbered.apply(tf.data.experimental.ignore_errors())

  # A gap in the numbers tells how many are missing.
  def count(state, numbered_item):
    index, item = numbered_item
    expected, before = tf.unstack(state)
    skipped = before + index - expected
    report = _print_if(
      _has_doubled(before, skipped),
      'WARNING: train.skip_broken_images: skipped',
      skipped,
      'images that do not decode, of',
      index,
      'read so far. tools/check_records.py lists them.',
    )
    with tf.control_dependencies([report]):
      return tf.stack([index + 1, skipped]), item

  return numbered.apply(
    tf.data.experimental.scan(tf.zeros([2], tf.int64), _no_autograph(count))
  )


def count_cut_objects(
  dataset: tf.data.Dataset,
  num_objects: Callable[[Any], tf.Tensor],
  max_num_instances: int,
) -> tf.data.Dataset:
  """Tells of images with more objects than labels hold.

  Args:
    dataset: of batches.
    num_objects: of a batch, int32 [batch, 1].
    max_num_instances: objects of an image that labels hold.
  """

  def count(state, batch):
    before, objects = tf.unstack(state)
    surplus = tf.maximum(num_objects(batch) - max_num_instances, 0)
    images = before + tf.math.count_nonzero(surplus, dtype=tf.int32)
    objects += tf.reduce_sum(surplus)
    report = _print_if(
      _has_doubled(before, images),
      'WARNING:',
      images,
      'images so far have more objects than '
      'retinanet_parser.max_num_instances = {};'.format(max_num_instances),
      objects,
      'objects are missing in their groundtruth. Raise it.',
    )
    with tf.control_dependencies([report]):
      return tf.stack([images, objects]), batch

  return dataset.apply(
    tf.data.experimental.scan(
      tf.zeros([2], tf.int32), _no_autograph(lambda s, *b: count(s, _item(b)))
    )
  )


def _item(parts: Any) -> Any:
  return parts[0] if len(parts) == 1 else parts


def _has_doubled(before: tf.Tensor, now: tf.Tensor) -> tf.Tensor:
  """Whether a count has reached a further power of two."""

  def bits(count):
    return tf.ceil(tf.log(tf.cast(count, tf.float64) + 1.0) / math.log(2.0))

  return bits(now) > bits(before)


def _print_if(condition: tf.Tensor, *values: Any) -> tf.Operation:
  return tf.cond(
    condition,
    lambda: tf.print(*values, output_stream=sys.stderr),
    tf.no_op,
  )
