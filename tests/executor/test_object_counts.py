"""Too many objects are told of, with the number that would fit."""

import json

import pytest

from executor import object_counts
from tests import golden_numbers, record_factory


def _record(number, num_objects, num_crowds=0):
  return record_factory.make_record(
    str(number).encode(),
    boxes=[(0, 0, 1, 1)] * num_objects,
    classes=[1] * num_objects,
    object__is_crowd=[1] * num_crowds + [0] * (num_objects - num_crowds),
  )


@pytest.fixture
def records(tmp_path):
  """Images of 2, 3, 5 and 6 objects, 3 of the last in crowds."""
  return record_factory.write_records(
    tmp_path / 'a.tfrecord',
    [_record(1, 2), _record(2, 3), _record(3, 5), _record(4, 6, 3)],
  )


def _warnings(records, is_training, most=3, model='mask_rcnn', **settings):
  parser = {'mask_rcnn': 'maskrcnn_parser'}.get(model, model + '_parser')
  params = golden_numbers.make_params({'type': model})
  params.override(
    {
      parser: {'max_num_instances': most},
      'train': {'train_file_pattern': records},
      'eval': {'eval_file_pattern': records, **settings},
    }
  )
  return list(object_counts.find_excess(params, is_training))


def test_training_counts_what_it_learns(records):
  assert _warnings(records, is_training=True) == [
    'train.train_file_pattern: 1 of the 4 images have more objects than '
    'maskrcnn_parser.max_num_instances: 3, and labels lack the rest of them. '
    '5 would hold all.'
  ]
  assert _warnings(records, is_training=True, most=5) == []
  # All of its objects get anchors.
  assert _warnings(records, is_training=True, model='retinanet') == []


@pytest.mark.parametrize('model', ['mask_rcnn', 'retinanet'])
def test_evaluation_counts_records(records, model):
  (warning,) = _warnings(records, is_training=False, model=model)
  assert warning.startswith('eval.eval_file_pattern: 2 of the 4 images')
  assert '6 would hold all' in warning


def test_evaluation_counts_the_annotation_file(records, tmp_path):
  box = {'bbox': [0, 0, 1, 1], 'category_id': 1}
  content = {
    'images': [{'id': i, 'width': 60, 'height': 40} for i in (1, 2)],
    'annotations': [dict(box, id=i, image_id=1 + (i > 0)) for i in range(5)],
    'categories': [{'id': 1}],
  }
  path = tmp_path / 'val.json'
  path.write_text(json.dumps(content))
  (warning,) = _warnings(
    records, is_training=False, val_json_file=str(path), use_json_file=True
  )
  assert warning.startswith('eval.val_json_file: 1 of the 2 images')
  assert '4 would hold all' in warning


def test_a_large_set_is_not_read_whole(records, monkeypatch):
  monkeypatch.setattr(object_counts, '_MOST_RECORDS', 3)
  (warning,) = _warnings(records, is_training=False)
  assert '1 of the first 3 images' in warning
