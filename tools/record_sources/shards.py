"""Records spread over the TFRecord files of a split."""

from typing import List

import tensorflow.compat.v1 as tf


class ShardedWriter:
  """Spreads records over PREFIX-00000-of-0000N.tfrecord, in turn.

  Used as a context manager: the files get their names at the end of the block.
  There are never more files than records, since readers take an empty file for
  a broken one.
  """

  def __init__(self, prefix: str, num_shards: int):
    self._prefix = prefix
    self._num_shards = num_shards
    self._writers = []
    self._num_records = 0
    self.file_names: List[str] = []

  def write(self, serialized: bytes) -> None:
    shard = self._num_records % self._num_shards
    if shard == len(self._writers):
      path = f'{self._prefix}-{shard:05d}'
      self._writers.append(tf.io.TFRecordWriter(path))
    self._writers[shard].write(serialized)
    self._num_records += 1

  def __enter__(self) -> 'ShardedWriter':
    return self

  def __exit__(self, error_type, error, traceback) -> None:
    for writer in self._writers:
      try:
        writer.close()
      except tf.errors.OpError:
        # A disk that is full lets none of them close.
        if error_type is None:
          raise
    for shard in range(len(self._writers) if error_type is None else 0):
      path = f'{self._prefix}-{shard:05d}'
      name = f'{path}-of-{len(self._writers):05d}.tfrecord'
      tf.io.gfile.rename(path, name)
      self.file_names.append(name)
