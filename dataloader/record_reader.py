"""Records read as tf.Examples, or with what keeps them from that."""

import collections
import concurrent.futures
import functools
import itertools
from typing import (
  Any,
  Callable,
  Dict,
  FrozenSet,
  Iterator,
  List,
  NamedTuple,
  Optional,
  Sequence,
  Set,
  Tuple,
)

import tensorflow.compat.v1 as tf
from google.protobuf import message

from dataloader import record_index, tf_example_decoder
from utils import errors

ENCODED, SOURCE_ID = 'image/encoded', 'image/source_id'
_DTYPES = {
  'bytes_list': tf.string,
  'float_list': tf.float32,
  'int64_list': tf.int64,
}
# What goes through a graph at once: a call takes as long as some records.
_MOST_RECORDS, _MOST_BYTES = 256, 2**24
# The next ones do while Python looks at one.
_LOOKAHEAD = 2

# Kinds of problems.
FILE, EXAMPLE, FEATURE = 'file', 'example', 'feature'

_WRITE_AGAIN = (
  'Write the file again; tools/create_tf_record.py makes such files from '
  'annotations and from folders of pictures.'
)
_DAMAGED = (
  'the file is truncated, damaged or no TFRecord file ({}). Write it again; '
  'what follows in it cannot be read.'
)


class Problem(NamedTuple):
  """A record that cannot be used.

  Attributes:
    file_name: TFRecord file.
    record_index: position in the file, from 0.
    source_id: as stored, '' if unknown.
    reason: what is wrong, for a person.
    kind: FILE, EXAMPLE or FEATURE, if it cannot even be read.
  """

  file_name: str
  record_index: int
  source_id: str
  reason: str
  kind: str = ''

  def __str__(self) -> str:
    return f'{place(*self[:3])}: {self.reason}'


def place(file_name: str, record_index: int, source_id: str) -> str:
  """Where a record is stored, for a person."""
  text = f"TFRecord file '{file_name}', record {record_index}"
  return text + (f' (source id {errors.shown(source_id)})' if source_id else '')


class Record(NamedTuple):
  """A record, with its features, by name, or with a problem.

  Attributes:
    file_name: TFRecord file.
    index: position in the file, from 0.
    source_id: as stored, '' if unknown.
    feature: of the tf.Example; None if it has a problem.
    problem: what keeps it from being read, or None.
  """

  file_name: str
  index: int
  source_id: str = ''
  feature: Any = None
  problem: Optional[Problem] = None

  @property
  def is_lost(self) -> bool:
    """Whether nothing could be read at its position."""
    return self.problem is not None and self.problem.kind == FILE

  def with_problem(self, kind: str, reason: str) -> 'Record':
    return self._replace(
      feature=None,
      problem=Problem(self.file_name, self.index, self.source_id, reason, kind),
    )


class _Chunk(NamedTuple):
  """Records of a file from a position on, and how the file ends, if it does."""

  file_name: str
  start: int
  records: List[bytes]
  damage: str


class RecordReader:
  """Reads records as the input pipeline would.

  Args:
    kinds: by feature, the field of `tf.train.Feature` that holds it; the
      image and its source id are added.
  """

  def __init__(self, kinds: Dict[str, str]):
    self._kinds = {ENCODED: 'bytes_list', SOURCE_ID: 'bytes_list', **kinds}
    self._parse = _parser(frozenset(self._kinds.items()))

  def read(
    self, files: Sequence[str], most: Optional[int] = None
  ) -> Iterator[Record]:
    """Yields the records of files.

    Args:
      files: TFRecord files.
      most: records of a file to read, from its start; all if None.
    """
    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
      for chunk in itertools.chain.from_iterable(
        _chunks(name, most) for name in files
      ):
        waiting.append((chunk, pool.submit(self._misfits, chunk.records)))
        if len(waiting) > _LOOKAHEAD:
          yield from self._records(*waiting.popleft())
      while waiting:
        yield from self._records(*waiting.popleft())

  def _misfits(self, records: List[bytes]) -> Set[int]:
    """Positions of what the input pipeline does not parse."""
    try:
      self._parse(records)
      return set()
    except tf.errors.OpError:
      if len(records) == 1:
        return {0}
    return {i for i, one in enumerate(records) if self._misfits([one])}

  def _records(self, chunk: _Chunk, misfits: Any) -> Iterator[Record]:
    for i, content in enumerate(chunk.records):
      record = Record(chunk.file_name, chunk.start + i)
      yield self._read(record, content, i in misfits.result())
    if chunk.damage:
      end = Record(chunk.file_name, chunk.start + len(chunk.records))
      yield end.with_problem(FILE, _DAMAGED.format(chunk.damage))

  def _read(self, record: Record, content: bytes, is_misfit: bool) -> Record:
    try:
      example = tf.train.Example.FromString(content)
    except message.DecodeError as error:
      return record.with_problem(
        EXAMPLE, f'it is not a tf.Example ({error}). {_WRITE_AGAIN}'
      )
    feature = example.features.feature
    if not feature:
      reason = 'it is not a tf.Example, or one without any feature. '
      return record.with_problem(EXAMPLE, reason + _WRITE_AGAIN)
    source_id = b''.join(feature[SOURCE_ID].bytes_list.value[:1])
    record = record._replace(
      source_id=source_id.decode('utf-8', 'replace'), feature=feature
    )
    for key, kind in self._kinds.items():
      stored = feature[key].WhichOneof('kind')
      if stored not in (None, kind):
        reason = f'feature {key} is a {stored}, not a {kind}.'
        return record.with_problem(FEATURE, reason)
    for key in (ENCODED, SOURCE_ID):
      count = len(feature[key].bytes_list.value)
      is_there = key == ENCODED or feature[key].WhichOneof('kind')
      if count > 1 or (not count and is_there):
        reason = f'feature {key} holds {count} values, not 1.'
        return record.with_problem(FEATURE, reason)
    if is_misfit:
      return record.with_problem(
        EXAMPLE, f'it is not written as a tf.Example is. {_WRITE_AGAIN}'
      )
    return record


def _chunks(file_name: str, most: Optional[int]) -> Iterator[_Chunk]:
  records = itertools.islice(tf.io.tf_record_iterator(file_name), most)
  start, is_over, damage = 0, False, ''
  while not is_over:
    chunk: List[bytes] = []
    size = 0
    while len(chunk) < _MOST_RECORDS and size < _MOST_BYTES:
      try:
        chunk.append(next(records))
      except StopIteration:
        is_over = True
        if start + len(chunk) == most:
          break
        # TensorFlow takes the head of a record for the end of the file if that
        # is cut off there. Counting reads all of a file in a bucket.
        (count,) = record_index.count_records([file_name], is_strict=False)
        if start + len(chunk) < count:
          damage = 'its end'
        break
      except tf.errors.OpError as error:
        is_over, damage = True, error.message
        break
      size += len(chunk[-1])
    yield _Chunk(file_name, start, chunk, damage)
    start += len(chunk)


@functools.lru_cache(maxsize=None)
def _parser(kinds: FrozenSet[Tuple[str, str]]) -> Callable[[List[bytes]], Any]:
  with tf.Graph().as_default() as graph:
    records = tf.placeholder(tf.string, [None])
    parsed = tf.io.parse_example(
      tf.map_fn(tf_example_decoder.checked_example, records),
      {key: tf.VarLenFeature(_DTYPES[kind]) for key, kind in kinds},
    )
    fetches = [value.dense_shape for value in parsed.values()]
  # Runs without a `with` block, since it is called for every chunk.
  session = tf.Session(
    graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})
  )
  return session.make_callable(fetches, feed_list=[records])
