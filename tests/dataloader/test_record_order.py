"""Which records are read when: each one once an epoch, whatever stops a run."""

import collections

import pytest
import tensorflow.compat.v1 as tf

from dataloader import record_order
from tests import record_factory

_COUNTS = {
  1: [205],
  8: [26, 25, 26, 26, 25, 26, 26, 25],
  # More files than are read in turns, some with several records.
  256: [1 + i % 2 for i in range(256)],
}


@pytest.fixture(scope='module', params=sorted(_COUNTS))
def shards(request, tmp_path_factory):
  """Paths and counts; the records are the numbers from 0."""
  folder = tmp_path_factory.mktemp('shards')
  counts = _COUNTS[request.param]
  numbers = iter(range(sum(counts)))
  paths = [
    record_factory.write_records(
      folder / str(i), [str(next(numbers)).encode() for _ in range(count)]
    )
    for i, count in enumerate(counts)
  ]
  return paths, counts


def _read(shards, size, seed=1, **kwargs):
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = record_order.epochs(*shards, seed, **kwargs).batch(size)
    batch = tf.data.make_one_shot_iterator(dataset).get_next()
    return session.run(batch).astype(int).tolist()


def test_six_parts_read_what_an_unbroken_training_reads(shards):
  total = sum(shards[1])
  whole = _read(shards, 1200)
  for start in range(0, 1200 - total, total):
    assert sorted(whole[start : start + total]) == list(range(total))
  assert whole[:total] != whole[total : 2 * total]
  assert whole[:100] != _read(shards, 100, seed=2)
  parts = [_read(shards, 200, position=200 * i) for i in range(6)]
  assert sum(parts, []) == whole


@pytest.mark.parametrize('number', [2, 3])
def test_workers_read_whole_epochs_together(shards, number):
  total = sum(shards[1])
  # Ends of which are at the same position in all workers.
  size = 2 * total
  streams = [_read(shards, size, part=(i, number)) for i in range(number)]
  for epochs in range(number, 2 * number + 1, number):
    end = epochs * total // number
    counts = collections.Counter(sum((s[:end] for s in streams), []))
    assert set(counts.values()) == {epochs} and len(counts) == total
  # Within an epoch, too, nothing is read twice.
  first = sum((stream[: total // number] for stream in streams), [])
  assert len(set(first)) == len(first)
  for i, stream in enumerate(streams):
    position = total // number + 5
    parts = _read(shards, 30, part=(i, number), position=position)
    assert parts == stream[position : position + 30]


def test_parts_open_only_files_with_records_of_theirs(tmp_path):
  files = [
    record_factory.write_records(tmp_path / str(i), [b'%d' % i] * 3)
    for i in range(4)
  ]
  mine = set(_read((files, [3] * 4), 6, part=(1, 2)))
  assert len(mine) == 2
  # Others may as well be damaged.
  for i in set(range(4)) - mine:
    (tmp_path / str(i)).write_text('{"images": []}')
  assert set(_read((files, [3] * 4), 6, part=(1, 2))) == mine


def test_more_parts_than_records(tmp_path):
  path = record_factory.write_records(tmp_path / 'a', [b'0', b'1'])
  streams = [_read(([path], [2]), 4, part=(i, 3)) for i in range(3)]
  counts = collections.Counter(sum((stream[:2] for stream in streams), []))
  assert counts == {0: 3, 1: 3}


def test_files_are_read_in_turns_without_training(shards):
  paths, counts = shards
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = record_order.once(paths).batch(sum(counts) + 1)
    batch = session.run(tf.data.make_one_shot_iterator(dataset).get_next())
  first_of_files = [sum(counts[:i]) for i in range(min(len(paths), 32))]
  assert batch[: len(first_of_files)].astype(int).tolist() == first_of_files
  assert sorted(batch.astype(int)) == list(range(sum(counts)))
