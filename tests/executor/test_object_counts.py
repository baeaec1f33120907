"""Too many objects are told of, with the number that would fit."""

import pytest

from executor import object_counts
from tests import golden_numbers, record_factory
from utils import errors


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
  if model == 'mask_rcnn':
    params.architecture.include_mask = False
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
    'train.train_file_pattern: more objects than '
    'maskrcnn_parser.max_num_instances: 3 are in 1 of the 4 images, and labels '
    'lack the rest of them. 5 would hold all.'
  ]
  assert _warnings(records, is_training=True, most=5) == []
  # All of its objects get anchors.
  assert _warnings(records, is_training=True, model='retinanet') == []


@pytest.mark.parametrize('model', ['mask_rcnn', 'retinanet'])
def test_evaluation_counts_what_batches_cut(records, model):
  (warning,) = _warnings(
    records, is_training=False, model=model, type='box', use_json_file=False
  )
  assert warning.startswith('eval.eval_file_pattern: ')
  assert 'are in 2 of the 4 images' in warning
  assert '6 would hold all' in warning


@pytest.mark.parametrize(
  'settings',
  [
    {'type': 'box', 'use_json_file': True},
    {'type': 'box_and_mask', 'use_json_file': False},
  ],
)
def test_whole_groundtruth_is_not_warned_of(records, settings):
  assert not _warnings(records, is_training=False, **settings)


@pytest.mark.parametrize('is_training', [True, False])
def test_records_that_cannot_be_used_are_named(records, is_training):
  """One class too few, of which the third image shows the last."""
  path = record_factory.write_records(
    records,
    [
      _record(1, 2),
      _record(2, 3),
      record_factory.make_record(b'7', classes=[91]),
    ],
  )
  with pytest.raises(errors.DataError) as caught:
    _warnings(path, is_training)
  message = str(caught.value)
  key = 'train.train_file_pattern' if is_training else 'eval.eval_file_pattern'
  assert message.startswith(
    f"{key}: TFRecord file '{path}', record 2 (source id"
  )
  assert (
    'class id 91 is outside of 1 to 90 (architecture.num_classes' in message
  )


def test_a_large_set_is_sampled_from_all_files(records, tmp_path, monkeypatch):
  monkeypatch.setattr(object_counts, '_MOST_RECORDS', 3)
  more = record_factory.write_records(
    tmp_path / 'b.tfrecord', [_record(number, 9) for number in (5, 6, 7)]
  )
  (warning,) = _warnings(f'{records},{more}', is_training=True)
  assert '2 of a sample of 4 images' in warning
  assert warning.endswith('9 would hold all of the sample.')
