"""Class ids that are one off are told as that."""

import pytest

from evaluation.dataset import data_check
from tests import golden_numbers, record_factory
from tests.tools import annotated_images, source_folders
from tools.record_sources import report as report_lib
from tools.record_sources import sources
from utils import errors


def _annotated(path, **wanted):
  found = sources.recognise(str(path))
  return sources.read(found, None, report_lib.Report(), **wanted)


def test_yolo_counts_from_0(tmp_path):
  source_folders.yolo(tmp_path)
  for stem, class_id in (('pet_03', 2), ('pet_11', 1)):
    label = {f'labels/train/{stem}.txt': f'{class_id} 0.5 0.5 0.2 0.2'}
    source_folders.write(tmp_path, label)
  with pytest.raises(errors.DataError) as caught:
    _annotated(tmp_path)
  assert 'classes 1 to 2, never 0' in str(caught.value)
  assert 'names for 0 to 1. Take one from each class' in str(caught.value)


@pytest.mark.parametrize(
  'names, label_map, message',
  [
    (('1', '0'), {1: 'cat', 2: 'dog'}, 'count from 0 are those of --label_map'),
    (('1', '2'), {1: 'cat', 2: 'dog'}, 'by name, not by id'),
    (('a', 'b'), {1: 'cat', 2: 'dog'}, "['a', 'b'], is in --label_map"),
  ],
)
def test_classes_of_another_label_map(names, label_map, message, tmp_path):
  folder = tmp_path / 'in'
  folder.mkdir()
  path = source_folders.SOURCES['csv'](folder)
  text = source_folders.CSV
  for old, new in zip(('dog', 'cat'), names):
    text = text.replace(old, new)
  source_folders.write(path.parent, {path.name: text})
  with pytest.raises(errors.DataError) as caught:
    annotated_images.convert(
      _annotated(path, label_map=label_map), report_lib.Report(), tmp_path
    )
  assert message in str(caught.value)
  assert ('count from 0' in str(caught.value)) == ('0' in names)


@pytest.mark.parametrize(
  'class_ids, label_map, remedy',
  [
    ((0, 1), '', 'All ids seem one too low: add one'),
    ((2, 3), '', 'All ids seem one too high: subtract one'),
    ((0, 3), '', 'architecture.num_classes is the largest id plus one'),
    (
      (1, 2),
      '0:cat\n1:dog',
      "The label map calls 0 'cat', but 0 is the background: add one to each "
      'of its ids.',
    ),
    ((0, 1), '0:cat\n1:dog', 'each of its ids, and to those of the objects.'),
    ((2, 3), '0:background\n1:cat\n2:dog', 'ids seem one too high: subtract'),
    ((1, 3), '0:background\n1:cat\n2:dog', 'num_classes is the largest id'),
  ],
)
def test_ids_of_records(class_ids, label_map, remedy, tmp_path):
  image = record_factory.encode(record_factory.pixels())
  records = [
    record_factory.make_record(b'%d' % i, image, [[0, 0, 0.5, 0.5]], [class_id])
    for i, class_id in enumerate(class_ids)
  ]
  path = record_factory.write_records(tmp_path / 'a.tfrecord', records)
  params = golden_numbers.make_params(
    {'architecture': {'num_classes': 3}, 'train': {'train_file_pattern': path}}
  )
  if label_map:
    params.eval.label_map_file = str(tmp_path / 'label_map.txt')
    (tmp_path / 'label_map.txt').write_text(label_map)
  with pytest.raises(errors.DataError) as caught:
    data_check.check_first_records(params, trains=True, evaluates=False)
  assert remedy in str(caught.value)
