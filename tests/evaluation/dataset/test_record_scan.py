"""Records of a set are counted only where the count says something."""

import pathlib

import pytest

from dataloader import record_index
from evaluation.dataset import record_scan
from tests import record_factory
from utils import files


@pytest.mark.parametrize('most, num_images', [(2, 2), (8, 5), (None, 5)])
def test_a_sample_of_a_bucket_counts_nothing(
  most, num_images, tmp_path, monkeypatch
):
  records = [record_factory.make_record(b'%d' % i) for i in range(3)]
  paths = [
    record_factory.write_records(tmp_path / name, records) for name in 'ab'
  ]
  cut = pathlib.Path(paths[1])
  # Within the head of its last record.
  size = cut.stat().st_size
  record_size = size // 3
  cut.write_bytes(cut.read_bytes()[: 2 * record_size + 5])
  monkeypatch.setattr(files, 'is_remote', lambda path: True)
  counted = []
  count = record_index.count_records
  monkeypatch.setattr(
    *(record_index, 'count_records'),
    lambda *args, **kwargs: counted.append(args) or count(*args, **kwargs),
  )
  contents = record_scan.scan(paths, most)
  assert contents.num_images == num_images
  assert len(contents.problems) == (num_images == 5)
  assert bool(counted) == (most != 2)
  assert contents.num_records == (None if most else 6)
