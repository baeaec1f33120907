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
