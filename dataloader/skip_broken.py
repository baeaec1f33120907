"""Skips elements that cannot be computed, and counts them aloud."""

import sys
from typing import Any, Callable

import tensorflow.compat.v1 as tf


def map_and_skip(
  dataset: tf.data.Dataset,
  function: Callable[[Any], Any],
  num_parallel_calls: int,
) -> tf.data.Dataset:
  """Maps a dataset and leaves out elements whose computation fails.

  Each time some are left out, the count so far goes to stderr.

  Args:
    dataset: of anything.
    function: of one element.
    num_parallel_calls: number of elements computed at a time.
  """
  numbered = tf.data.Dataset.zip((tf.data.experimental.Counter(), dataset))
  no_autograph = tf.autograph.experimental.do_not_convert
  numbered = numbered.map(
    no_autograph(lambda index, item: (index, function(item))),
    num_parallel_calls,
  )
  numbered = numbered.apply(tf.data.experimental.ignore_errors())

  # A gap in the numbers tells how many are missing.
  def count(state, numbered_item):
    index, item = numbered_item
    expected, skipped = state
    missing = index - expected
    skipped += missing
    report = tf.cond(
      missing > 0,
      lambda: tf.print(
        'WARNING: train.skip_broken_images: skipped',
        skipped,
        'images so far that do not decode, of',
        index,
        'read. tools/check_records.py lists them.',
        output_stream=sys.stderr,
      ),
      tf.no_op,
    )
    with tf.control_dependencies([report]):
      return (index + 1, tf.identity(skipped)), item

  zero = tf.constant(0, tf.int64)
  return numbered.apply(
    tf.data.experimental.scan((zero, zero), no_autograph(count))
  )
