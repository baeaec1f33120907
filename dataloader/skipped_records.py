"""Records that were skipped because their image does not decode."""

from typing import Any, Callable, Tuple

import tensorflow.compat.v1 as tf

from dataloader import graph_warnings

_no_autograph = tf.autograph.experimental.do_not_convert

# Says that the error below is what ended a run.
NO_IMAGE_DECODES = 'No image decodes'

# Broken images vanish. So that their number is known before the next good one
# comes, a mark follows after so many: a record with an image of one pixel.
_RECORDS_BETWEEN_MARKS = 64
_PIXEL = (
  b'GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;'
)
_MARK = tf.train.Example(
  features=tf.train.Features(
    feature={
      'image/encoded': tf.train.Feature(
        bytes_list=tf.train.BytesList(value=[_PIXEL])
      )
    }
  )
).SerializeToString()


def map_and_skip(
  records: tf.data.Dataset,
  parse: Callable[[tf.Tensor], Any],
  decode: Callable[[Any], Any],
  num_parallel_calls: int,
  num_records: int,
) -> tf.data.Dataset:
  """Decodes records; in place of a broken image comes the next good one.

  So what is delivered at a position of the records depends on nothing but these
  and the position, and a training can go on from any.

  Args:
    records: endless dataset of serialized tf.Examples.
    parse: of one record; its errors are not ignored.
    decode: of what `parse` gives.
    num_parallel_calls: number of images decoded at a time.
    num_records: records of an epoch.

  Returns:
    Dataset of what `decode` gives, one for each record. At run time,
    InvalidArgumentError with `NO_IMAGE_DECODES` once an epoch has passed
    without one.
  """
  marked = records.window(_RECORDS_BETWEEN_MARKS).flat_map(
    lambda window: window.concatenate(tf.data.Dataset.from_tensors(_MARK))
  )
  parsed = marked.map(_no_autograph(parse), num_parallel_calls)
  numbered = tf.data.Dataset.zip((tf.data.experimental.Counter(), parsed))
  numbered = numbered.map(
    _no_autograph(lambda index, item: (index, decode(item))), num_parallel_calls
  )
  numbered = numbered.apply(tf.data.experimental.ignore_errors())

  return numbered.apply(
    tf.data.experimental.scan(
      tf.zeros([3], tf.int64),
      _no_autograph(
        lambda state, item: _count_missing(state, item, num_records)
      ),
    )
  ).flat_map(
    _no_autograph(
      lambda count, item: tf.data.Dataset.from_tensors(item).repeat(count)
    )
  )


def _count_missing(
  state: tf.Tensor, numbered_item: Tuple[tf.Tensor, Any], num_records: int
) -> Tuple[tf.Tensor, Any]:
  """Tells from a gap in the numbers how many records are missing.

  Args:
    state: int64 [3], the number that is due, the records missing so far, and
      those in a row.
    numbered_item: a record that is there, with its number.
    num_records: of an epoch.

  Returns:
    The next state, and the record with how often it is due: for itself and for
    those that are missing before it.
  """
  index, item = numbered_item
  expected, before, in_a_row = tf.unstack(state)
  num_marks = index // (_RECORDS_BETWEEN_MARKS + 1)
  is_mark = tf.equal(index + 1, (num_marks + 1) * (_RECORDS_BETWEEN_MARKS + 1))
  skipped = before + index - expected
  in_a_row += index - expected
  checks = [
    graph_warnings.warn_when_doubled(
      before,
      skipped,
      'train.skip_broken_images: skipped',
      skipped,
      'images that do not decode, of',
      index - num_marks,
      'read so far. tools/check_records.py lists them.',
    ),
    # Orders differ, so that an epoch is within two of them.
    tf.debugging.Assert(
      in_a_row < 2 * num_records,
      [NO_IMAGE_DECODES + ' (train.skip_broken_images) of the last', in_a_row],
    ),
  ]
  with tf.control_dependencies(checks):
    missing = tf.where(is_mark, in_a_row, tf.zeros_like(in_a_row))
    count = tf.where(is_mark, tf.zeros_like(in_a_row), in_a_row + 1)
    return tf.stack([index + 1, skipped, missing]), (count, item)
