import numpy as np
import pytest

from tests import record_factory
from tools.starter import facts, record_sets
from utils import errors


def _sets(tmp_path, train, evaluated, label_map=''):
  for name, records in (('train', train), ('val', evaluated)):
    record_factory.write_records(tmp_path / f'{name}.tfrecord', records)
  if label_map:
    (tmp_path / 'label_map.txt').write_text(label_map)
  return record_sets.find(str(tmp_path))


def test_facts_of_records(tmp_path):
  wide = record_factory.make_record(
    encoded=record_factory.encode(record_factory.pixels(20, 40)),
    boxes=[[0.1, 0.2, 0.6, 0.7], [0.5, 0.5, 0.5, 0.9], [0, 0, 1, 1]],
    classes=[1, 2, 1],
    object__is_crowd=[0, 0, 1],
  )
  plain = record_factory.make_record(boxes=[[0, 0, 0.5, 1]], classes=[2])
  sets = _sets(tmp_path, [wide, plain], [wide], '1:cat\n3:left shoe\n2:dog\n')
  found = facts.read(sets)
  assert (found.num_images, found.num_evaluated) == (2, 1)
  np.testing.assert_array_equal(found.image_sizes, [[20, 40], [40, 60]])
  # Neither the box without area nor the crowd.
  np.testing.assert_array_equal(
    found.boxes, np.float32([[0.1, 0.2, 0.6, 0.7], [0, 0, 0.5, 1]])
  )
  np.testing.assert_array_equal(found.box_image_sizes, [[20, 40], [40, 60]])
  np.testing.assert_array_equal(found.box_classes, [1, 2])
  assert (found.most_objects, found.num_classes) == (3, 4)
  assert found.names == {1: 'cat', 3: 'left shoe', 2: 'dog'}


@pytest.mark.parametrize(
  'boxes, classes, label_map, message',
  [
    ([], [], '', 'no object with a box'),
    ([[0, 0, 1, 1]], [5], '1:cat\n', 'class 5, but classes are those of'),
    ([[0, 0, 1, 1]], [0], '', 'class 0, but classes are counted from 1'),
  ],
)
def test_what_cannot_be_learned(tmp_path, boxes, classes, label_map, message):
  record = record_factory.make_record(boxes=boxes, classes=classes)
  sets = _sets(tmp_path, [record], [record], label_map)
  with pytest.raises(errors.DataError, match=message):
    facts.read(sets)
