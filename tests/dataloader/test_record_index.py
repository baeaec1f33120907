"""Counting records without reading them."""

import os

import pytest

from dataloader import record_index
from tests import record_factory
from utils import errors


@pytest.mark.parametrize('scheme', ['', 'file://'])
def test_records_are_counted_by_file(tmp_path, scheme):
  paths = [
    scheme + record_factory.write_records(tmp_path / str(n), [b'x' * n] * n)
    for n in (3, 1, 40)
  ]
  assert record_index.count_records(paths) == [3, 1, 40]
  record_factory.write_records(tmp_path / '1', [b'', b''])
  assert record_index.count_records(paths) == [3, 2, 40]


@pytest.mark.parametrize('cut', [1, 17, 25])
def test_file_that_is_cut_off_is_named_with_the_record(tmp_path, cut):
  good = record_factory.write_records(tmp_path / 'good', [b'12345678'] * 2)
  bad = record_factory.write_records(tmp_path / 'bad', [b'12345678'] * 2)
  os.truncate(bad, 48 - cut)
  record = 0 if cut > 24 else 1
  with pytest.raises(errors.DataError, match="bad', record %d" % record):
    record_index.count_records([good, bad])


def test_other_files_are_no_tfrecord_files(tmp_path):
  path = tmp_path / 'a.tfrecord'
  path.write_text('{"images": []}')
  with pytest.raises(errors.DataError, match='no TFRecord file'):
    record_index.count_records([str(path)])
