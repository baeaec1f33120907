"""Set of TFRecord files that appears whole or not at all."""

import os
from typing import List

import tensorflow.compat.v1 as tf


class ShardedWriter:
  """Spreads records over PREFIX-00000-of-0000N.tfrecord, in turn.

  Used as a context manager: the files get their names at the end of the block,
  and nothing stays behind if the block fails. There are never more files than
  records, since readers take an empty file for a broken one.
  """

  def __init__(self, prefix: str, num_shards: int):
    self._prefix = prefix
    self._num_shards = num_shards
    self._writers = []
    self._temporary = []
    self._num_records = 0
    self.file_names: List[str] = []

  def write(self, serialized: bytes) -> None:
    shard = self._num_records % self._num_shards
    if shard == len(self._writers):
      folder, name = os.path.split(self._prefix)
      path = os.path.join(folder, f'.{name}-{shard:05d}.{os.getpid()}.tmp')
      self._writers.append(tf.io.TFRecordWriter(path))
      self._temporary.append(path)
    self._writers[shard].write(serialized)
    self._num_records += 1

  def __enter__(self) -> 'ShardedWriter':
    return self

  def __exit__(self, error_type, error, traceback) -> None:
    for writer in self._writers:
      writer.close()
    if error_type is not None:
      for path in self._temporary:
        tf.io.gfile.remove(path)
      return
    for shard, path in enumerate(self._temporary):
      name = (
        f'{self._prefix}-{shard:05d}-of-{len(self._temporary):05d}.tfrecord'
      )
      tf.io.gfile.rename(path, name, overwrite=True)
      self.file_names.append(name)
