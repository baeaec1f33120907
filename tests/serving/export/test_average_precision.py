"""Average precision of detectors on records."""

import types

import pytest

from serving.export import average_precision
from tests import record_factory

_BOX = (0.1, 0.2, 0.6, 0.7)


class _Detector:
  """Finds one box, in shares of the sides, in each image."""

  def __init__(self, box):
    self._box = box

  def predict(self, images):
    (image,) = images
    height, width = image.shape[:2]
    sides = [s * n for s, n in zip(self._box, (height, width) * 2)]
    return [types.SimpleNamespace(rows=lambda: [(1, 0.9, sides)])]


def test_right_and_wrong_boxes(tmp_path):
  records = [
    record_factory.make_record(source_id=name, boxes=(_BOX,), classes=(1,))
    for name in (b'1', b'2')
  ]
  path = record_factory.write_records(tmp_path / 'test', records)
  detectors = {'a': _Detector(_BOX), 'b': _Detector((0.7, 0.7, 0.9, 0.9))}
  found = average_precision.measure(detectors, path)
  assert found == {'a': pytest.approx(1.0), 'b': 0.0}


def test_nothing_without_records(tmp_path):
  assert average_precision.measure({}, str(tmp_path / 'none-*')) == {}
