"""Order in which records are read: once, or epoch after epoch."""

from typing import Any, Callable, Sequence, Tuple

import tensorflow.compat.v1 as tf

# TFRecord files that are read in turns, so that a batch mixes their images.
_NUM_FILES_AT_ONCE = 32
# Opened before their turn, since a remote file takes a while.
_NUM_FILES_AHEAD = 4
_SHUFFLE_BUFFER = 64

_no_autograph = tf.autograph.experimental.do_not_convert


def once(files: Sequence[str]) -> tf.data.Dataset:
  """Records of the files, a record of each file in turn.

  Args:
    files: paths of TFRecord files.

  Returns:
    Dataset of scalar strings, in the same order every time.
  """
  return _in_turns(
    tf.data.Dataset.from_tensor_slices(list(files)), tf.data.TFRecordDataset
  )


def epochs(
  files: Sequence[str],
  counts: Sequence[int],
  seed: int,
  position: int = 0,
  part: Tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
  """Records of the files without end, each one once an epoch.

  The order of an epoch depends on the seed and on the number of the epoch
  alone, so that a training that is stopped goes on with the records that it
  would have read. An epoch has its own order of the files, which are read in
  turns, up to 32 at a time, and then shuffled a little.

  Of several parts, each reads a range of the epoch's files, and opens no
  others than those. Ranges differ by one record at most, and the parts read
  longer ones in turn, so that no part gets more than one record ahead: what
  they have read together, position by position, are whole epochs and the
  beginning of the next, save that at the end of an epoch one part may have
  begun the next one a record early.

  Args:
    files: paths of TFRecord files.
    counts: number of records of each.
    seed: of the order, the same for all parts.
    position: number of records that this part has already read, which are
      left out. Those of the current epoch are skipped, not decoded.
    part: (index, number): which of how many parts to read.

  Returns:
    Endless dataset of scalar strings.
  """
  index, number = part
  total = sum(counts)
  # Before epoch e, part i has read floor((e * total + i) / number) records.
  first = ((position + 1) * number - 1 - index) // total
  num_skipped = position - (first * total + index) // number

  def records_of(epoch):
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    order = tf.argsort(tf.random.stateless_uniform([len(files)], key))
    lengths = tf.gather(tf.constant(list(counts), tf.int64), order)
    begin, end = _range(epoch, total, index, number)
    # Of each file, what lies in the range.
    stops = tf.cumsum(lengths)
    starts = stops - lengths
    stops = tf.clip_by_value(stops, begin, end)
    starts = tf.clip_by_value(starts, begin, end)
    pieces = (
      tf.gather(tf.constant(list(files)), order),
      tf.maximum(begin - tf.cumsum(lengths, exclusive=True), 0),
      starts - begin,
      stops - begin,
    )
    read = tf.where(stops > starts)[:, 0]
    pieces = [tf.gather(piece, read) for piece in pieces]
    skipped = tf.where(tf.equal(epoch, first), num_skipped, 0)
    return _shuffled(tuple(pieces), tf.cast(skipped, tf.int64), key)

  return tf.data.experimental.Counter(first).flat_map(_no_autograph(records_of))


def _range(
  epoch: tf.Tensor, total: int, index: int, number: int
) -> Tuple[tf.Tensor, tf.Tensor]:
  """Begin and end, in an epoch's records, of a part; see `epochs`."""
  parts = tf.range(number, dtype=tf.int64)
  lengths = (parts + total * (epoch + 1)) // number
  lengths -= (parts + total * epoch) // number
  end = tf.cumsum(lengths)[index]
  return end - lengths[index], end


def _shuffled(
  pieces: Tuple[tf.Tensor, ...], num_skipped: tf.Tensor, key: tf.Tensor
) -> tf.data.Dataset:
  """Records of parts of files.

  Args:
    pieces: vectors of a value a file: its name, the number of its first record
      to read, and begin and end of its records among all that are read here.
    num_skipped: how many of these to leave out.
    key: int64 [2], seed of the order.
  """
  seed = tf.random.stateless_uniform([], key, 0, 2**62, tf.int64)
  # Whole groups are skipped without being opened.
  groups = tf.data.Dataset.from_tensor_slices(pieces).batch(_NUM_FILES_AT_ONCE)
  groups = groups.filter(
    _no_autograph(lambda names, firsts, begins, ends: ends[-1] > num_skipped)
  )

  def read(name, first, begin, end):
    return tf.data.TFRecordDataset(name).skip(first).take(end - begin)

  def records_of(*group):
    begin = group[2][0]
    records = _in_turns(tf.data.Dataset.from_tensor_slices(group), read)
    records = records.shuffle(
      _SHUFFLE_BUFFER, seed=seed + begin, reshuffle_each_iteration=False
    )
    return records.skip(tf.maximum(num_skipped - begin, 0))

  return groups.flat_map(_no_autograph(records_of))


def _in_turns(
  files: tf.data.Dataset, read: Callable[..., Any]
) -> tf.data.Dataset:
  # `interleave` with parallel calls crashes when a session is closed, in
  # TensorFlow 1.15; this one has threads of its own and waits for them.
  return files.apply(
    tf.data.experimental.parallel_interleave(
      _no_autograph(read),
      _NUM_FILES_AT_ONCE,
      buffer_output_elements=1,
      prefetch_input_elements=_NUM_FILES_AHEAD,
    )
  )
