"""Shape priors of the masks of records."""

import re

import numpy as np
import pytest

from tests import programs, record_factory
from tools import mask_clusters
from utils import errors, shape_priors

_BOX = (0.1, 0.2, 0.6, 0.7)  # 4 to 24 of 40 rows, 12 to 42 of 60 columns


def _record(number, columns, class_id=1, **features):
  """An object that fills some columns of its box."""
  mask = np.zeros([40, 60], np.uint8)
  mask[4:24, columns] = 255
  return record_factory.make_record(
    str(number).encode(),
    boxes=[_BOX],
    classes=[class_id],
    object__mask=[record_factory.encode(mask)],
    **features,
  )


_LEFT, _RIGHT = slice(12, 27), slice(27, 42)


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  """Class 1: three left halves, one right half, a crowd; 3: one of all."""
  return record_factory.write_records(
    tmp_path_factory.mktemp('priors') / 'a.tfrecord',
    [
      *(_record(i, _LEFT) for i in range(3)),
      _record(3, _RIGHT),
      _record(4, slice(12, 42), object__is_crowd=[1]),
      _record(5, slice(12, 42), class_id=3),
      record_factory.make_record(b'6', boxes=(), classes=()),
    ],
  )


def test_the_program_writes_means_of_clusters(records, tmp_path):
  path = str(tmp_path / 'made' / 'priors.npy')
  finished = programs.run(
    'tools/make_shape_priors.py',
    '--file_pattern=' + records,
    '--output=' + path,
    '--num_clusters=2',
    '--size=10',
  )
  assert finished.returncode == 0, finished.stderr
  assert finished.stdout == (
    f'{path}: 4 x 2 x 10 x 10 from 5 masks; classes without masks: 2\n'
  )
  priors = shape_priors.read(path, 4)
  assert not priors[[0, 2]].any()
  # The largest cluster first.
  more, fewer = priors[1]
  half = np.tile([1] * 5 + [0] * 5, [10, 1])
  # A corner may be off the mask.
  np.testing.assert_array_equal(more[:-1], half[:-1])
  np.testing.assert_array_equal(fewer[:-1, :-1], 1 - half[:-1, :-1])
  # One mask stands for both clusters.
  assert np.all(priors[3][:, :-1, :-1] == 1)


def test_one_row_for_all_classes(records, monkeypatch):
  masks = mask_clusters.read_masks(records, 10)
  (row,) = mask_clusters.make(masks, 4, 1, True)
  # Four of five objects fill either half, and the fifth both.
  assert row[0][5, 2] == pytest.approx(4 / 5)
  assert row[0][5, 7] == pytest.approx(2 / 5)
  # Of too many, some of all classes.
  monkeypatch.setattr(mask_clusters, '_MOST_MASKS', 3)
  (row,) = mask_clusters.make(masks, 4, 1, True)
  assert row[0][5, [2, 7]] == pytest.approx([1, 1 / 3])


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--output=gs://bucket/a.npy'], 'must be a local file .* with .npy'),
    (['--output=a.npz'], 'must be a local file .* with .npy'),
    (['--output=a.npy', '--num_classes=3'], 'class id 3 is outside of 1 to 2'),
    (['--output=a.npy', '--num_clusters=0'], 'num_clusters'),
  ],
)
def test_what_cannot_work(records, tmp_path, arguments, message):
  finished = programs.run(
    'tools/make_shape_priors.py', '--file_pattern=' + records, *arguments
  )
  assert finished.returncode != 0
  assert re.search(message, finished.stderr), finished.stderr


def test_records_without_masks(tmp_path):
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord', [record_factory.make_record()]
  )
  with pytest.raises(errors.DataError, match='0 masks for 1 objects'):
    mask_clusters.read_masks(path, 10)
  path = record_factory.write_records(
    tmp_path / 'b.tfrecord',
    [record_factory.make_record(boxes=(), classes=())],
  )
  with pytest.raises(errors.DataError, match='has no masks'):
    mask_clusters.read_masks(path, 10)
