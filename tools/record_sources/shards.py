"""Records spread over the TFRecord files of a split."""

import contextlib
from typing import List

import tensorflow.compat.v1 as tf

from tools.record_sources import unfinished_set


class ShardedWriter:
  """Spreads records over NAME-00000-of-0000N.tfrecord, in turn.

  Used as a context manager. There are never more files than records, since
  readers take an empty file for a broken one.

  Args:
    output: what the files are to be part of.
    name: of the split.
    num_shards: the most files.
  """

  def __init__(
    self, output: unfinished_set.UnfinishedSet, name: str, num_shards: int
  ):
    self._output = output
    self._name = name
    self._num_shards = num_shards
    self._writers = []
    self._temporary = []
    self._num_records = 0
    self.file_names: List[str] = []

  def write(self, serialized: bytes) -> None:
    shard = self._num_records % self._num_shards
    if shard == len(self._writers):
      path = self._output.add(f'{self._name}-{shard:05d}')
      self._temporary.append(path)
      self._writers.append(tf.io.TFRecordWriter(path))
    self._writers[shard].write(serialized)
    self._num_records += 1

  def __enter__(self) -> 'ShardedWriter':
    return self

  def __exit__(self, error_type, error, traceback) -> None:
    if error_type is not None:
      # A disk that is full lets none of them close.
      for writer in self._writers:
        with contextlib.suppress(tf.errors.OpError):
          writer.close()
      return
    for shard, writer in enumerate(self._writers):
      writer.close()
      self.file_names.append(
        self._output.rename(
          self._temporary[shard],
          f'{self._name}-{shard:05d}-of-{len(self._writers):05d}.tfrecord',
        )
      )
