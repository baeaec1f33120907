"""How many records a set has is known once it was read."""

import pathlib

from dataloader import record_index
from evaluation.dataset import record_scan
from tests import record_factory


def test_a_whole_set_is_not_counted_again(tmp_path, monkeypatch):
  records = [record_factory.make_record(b'%d' % i) for i in range(3)]
  whole, cut = (
    record_factory.write_records(tmp_path / name, records) for name in 'ab'
  )
  path = pathlib.Path(cut)
  path.write_bytes(path.read_bytes()[:-9])
  assert record_index.count_records([whole, cut], is_strict=False) == [3, 3]
  assert record_scan.scan([whole, cut], most=2).num_records == 6
  monkeypatch.delattr(record_index, 'count_records')
  contents = record_scan.scan([whole, cut])
  assert (contents.num_records, contents.num_images) == (6, 5)
  assert contents.is_whole
