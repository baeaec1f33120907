"""An evaluation set that does not fit its annotations or the training set."""

import numpy as np
import pytest

from evaluation.dataset import (
  pictures,
)
from tests.evaluation.dataset import checked_sets

_BROKEN_EVALUATION = {
  'repeated id': (
    {'test': [checked_sets.record(11, seed=3)], 'texts': {}},
    *('error', 'ids that several images', 2, '2 images have this id'),
  ),
  'text id': (
    {
      'test': [checked_sets.record(13, source_id=b'cat.jpg')],
      'texts': {'val_json_file': checked_sets.annotations([11, 12])},
    },
    *('error', 'ids that are no integers', 1, "source id 'cat.jpg'"),
  ),
  'unannotated': (
    {'texts': {'val_json_file': checked_sets.annotations([11])}},
    *('error', 'ids of records that the', 1, "source id '12'"),
  ),
  'unrecorded': (
    {'texts': {'val_json_file': checked_sets.annotations([11, 12, 13])}},
    *('error', 'ids of the annotation file', 1, 'id 13'),
  ),
  'in both sets': (
    {'test': [checked_sets.record(13, seed=2)]},
    *('warning', 'pictures that the training', 1, "train.tfrecord', record 1"),
  ),
  'alike': (
    {'test': [checked_sets.record(13, seed=2, image_format='JPEG')]},
    *('warning', 'pictures that look nearly', 1, "train.tfrecord', record 1"),
  ),
}


@pytest.mark.parametrize('name', sorted(_BROKEN_EVALUATION))
def test_broken_evaluation_set(tmp_path, name):
  changes, severity, title, count, example = _BROKEN_EVALUATION[name]
  told = checked_sets.told(checked_sets.write(tmp_path, **changes))
  assert len(told) == 1, told
  assert told[0][:2] == (severity, 'evaluation')
  assert told[0][2].startswith(title)
  assert told[0][3] == count
  assert example in told[0][4]


def _annotated(categories, **changes):
  """Of the 12 records of `_told`, by the category of each."""
  content = checked_sets.annotations(range(11, 23), **changes)
  for entry, category in zip(content['annotations'], categories):
    entry['category_id'] = category
  content['categories'] = [{'id': i} for i in (1, 2, 3)]
  return content


def _told(folder, content, num_classes=4, label_map='1:a\n2:b\n3:c\n'):
  params = checked_sets.write(
    folder,
    test=[checked_sets.record(i) for i in range(13, 23)],
    texts={'val_json_file': content, 'label_map_file': label_map},
    architecture={'num_classes': num_classes},
  )
  return [
    (found.severity, found.title.split()[0], found.count, found)
    for found in checked_sets.check(params, decode_images=False)[1]
    if found.part.name == 'evaluation' and 'annotation' in found.title
  ]


def test_annotations_of_other_classes(tmp_path):
  # Images 11, 12, ... have one object of class 2, 1, ... each.
  assert not _told(tmp_path, _annotated([2, 1] * 6))
  (only,) = _told(tmp_path, _annotated([3, 2] * 6))
  assert only[:3] == ('error', 'images', 12)
  assert only[3].example.endswith(
    'numbers of objects by class: image 11 has {3: 1} there and {2: 1} in its '
    'record'
  )
  unknown, differing = _told(
    tmp_path,
    _annotated([3, 2] * 6),
    num_classes=3,
    label_map='1:a\n2:b\n',
  )
  assert unknown[:3] == ('error', 'classes', 6)
  assert unknown[3].amount == '6 of 12 annotations'
  assert unknown[3].example == 'category_id 3 of image 11'
  assert unknown[3].remedy.startswith('All ids seem one too high: subtract one')
  assert differing[:3] == ('error', 'images', 12)


def test_a_class_that_only_the_label_map_lacks(tmp_path):
  unknown, _ = _told(
    tmp_path, _annotated([2, 1] * 5 + [1, 3]), label_map='1:a\n2:b\n'
  )
  assert unknown[:3] == ('error', 'classes', 1)
  assert unknown[3].example == 'category_id 3 of image 22'
  assert unknown[3].remedy.startswith('Number its categories')


def test_an_odd_difference_is_a_warning(tmp_path):
  (only,) = _told(tmp_path, _annotated([3] + [1, 2] * 5 + [1]))
  assert only[:3] == ('warning', 'images', 1)
  assert 'odd box' in only[3].remedy


def test_annotations_of_images_of_another_size(tmp_path):
  content = _annotated([2, 1] * 6)
  for image in content['images']:
    image['width'] = 120
  (only,) = _told(tmp_path, content)
  assert only[:3] == ('error', 'images', 12)
  assert 'image 11 has 120 x 40 there and 60 x 40' in only[3].example


@pytest.mark.parametrize(
  'num_classes,label_map,example,remedy',
  [
    (9, '1:a\n2:b\n', 'the largest id is 2', 'num_classes: 3 would fit'),
    (3, '1:a\n2:b\n3:c\n', 'the largest id is 3', 'num_classes: 4 would fit'),
    (4, '1:a\n2:b\n3:c\n', None, None),
    # The records' classes do, and what is wrong is the label map.
    (3, '0:a\n1:b\n', None, None),
  ],
)
def test_number_of_classes(tmp_path, num_classes, label_map, example, remedy):
  params = checked_sets.write(
    tmp_path,
    texts={'label_map_file': label_map},
    architecture={'num_classes': num_classes},
  )
  found = [
    each
    for each in checked_sets.check(params, decode_images=False)[1]
    if each.title.startswith('a number of classes')
  ]
  assert len(found) == bool(example)
  for each in found:
    assert each.severity == 'warning' and each.example == example
    assert remedy in each.remedy


def test_label_map_lacks_a_class(tmp_path):
  params = checked_sets.write(tmp_path, texts={'label_map_file': '1:a\n'})
  told = checked_sets.told(params)
  assert [each[:2] for each in told] == [
    ('error', 'training'),
    ('error', 'evaluation'),
  ]
  assert told[0][3] == 1 and 'class id 2 has no name' in told[0][4]


def test_classes_of_one_set_alone(tmp_path):
  params = checked_sets.write(
    tmp_path,
    test=[checked_sets.record(14, classes=[3])],
    architecture={'num_classes': 5},
    texts={'label_map_file': '1:a\n2:b\n3:c\n4:d\n'},
  )
  told = [
    each
    for each in checked_sets.told(params)
    if each[2].startswith('classes without')
  ]
  assert [(each[1], *each[3:]) for each in told] == [
    ('training', 2, 'c, d'),
    ('evaluation', 1, 'd'),
  ]


def test_near_pairs_are_those_of_all_pairs():
  rng = np.random.RandomState(0)
  others = rng.randint(0, 2**63, 400).astype(np.uint64)
  hashes = others[:40].copy()
  for i, value in enumerate(hashes):
    for bit in rng.choice(64, i % 6, replace=False):
      value ^= np.uint64(1) << np.uint64(bit)
    hashes[i] = value
  pairs = pictures.near_pairs(hashes, others)
  assert pairs == {i: i for i in range(40) if i % 6 <= 3}
  assert pictures.near_pairs(hashes, others[:0]) == {}
