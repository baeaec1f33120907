"""What a training learns from is counted, and told in a sentence each."""

import pytest

from executor import training_set
from tests import classification_set, golden_numbers, record_factory
from utils import files

# The anchor of 32 pixels that is nearest shares 28 x 28 of them: IoU 0.62.
_LARGE, _SMALL = (0.25, 0.25, 0.75, 0.75), (0.5, 0.5, 0.55, 0.55)


def _record(number, boxes, classes, **features):
  image = record_factory.encode(record_factory.pixels(128, 128))
  return record_factory.make_record(
    b'%d' % number, image, boxes, classes, **features
  )


@pytest.fixture
def records(tmp_path):
  """Objects: 3, none, and 1 beside a crowd; none is of class 2."""
  return record_factory.write_records(
    tmp_path / 'a.tfrecord',
    [
      _record(1, [_LARGE, _SMALL, _LARGE], [1, 1, 3]),
      _record(2, [], []),
      _record(3, [_LARGE, _LARGE], [3, 1], object__is_crowd=[0, 1]),
    ],
  )


def _params(records, **changes):
  return golden_numbers.make_params(
    {
      'architecture': {'num_classes': 4, 'min_level': 3, 'max_level': 3},
      'anchor': {'num_scales': 1, 'aspect_ratios': [1.0]},
      'retinanet_parser': {'output_size': [64, 64]},
      'train': {'train_file_pattern': records},
      **changes,
    }
  )


def test_what_a_detector_learns_from(records, tmp_path):
  (tmp_path / 'label_map.txt').write_text('1:RBC\n2:WBC\n')
  params = _params(
    records, eval={'label_map_file': str(tmp_path / 'label_map.txt')}
  )
  assert training_set.look(params) == {
    'classes': '1 RBC: 2, 2 WBC: 0, 3: 2',
    'images': '1 without objects',
    'objects': '4, 1 crowds left out, none cut',
    'anchors': 'meet 75.0% of the objects (IoU 0.5)',
  }
  params.train.train_file_pattern = record_factory.write_records(
    tmp_path / 'b.tfrecord',
    [_record(1, [_LARGE] * 3 + [_SMALL], [1] * 3 + [2])],
  )
  assert training_set.look(params)['anchors'] == (
    'meet 75.0% of the objects, but 0% of WBC (IoU 0.5)'
  )
  params.retinanet_parser.match_threshold = 0.65
  assert training_set.look(params)['anchors'] == (
    'meet 0.0% of the objects (IoU 0.65)'
  )


def test_objects_beyond_the_labels_are_counted(records):
  params = golden_numbers.make_params({'type': 'mask_rcnn'})
  params.architecture.include_mask = False
  params.override(
    {
      'maskrcnn_parser': {
        'max_num_instances': 1,
        'skip_crowd_during_training': False,
      },
      'train': {'train_file_pattern': records},
    }
  )
  assert training_set.look(params)['objects'] == (
    '5, 3 cut by maskrcnn_parser.max_num_instances: 1'
  )


def test_many_classes_are_summed_up(records):
  params = _params(records)
  params.architecture.num_classes = 91
  assert training_set.look(params)['classes'] == (
    '1: 2, 2: 0, 3: 2, '
    + ', '.join(f'{i}: 0' for i in range(4, 21))
    + ', 70 more: 0, 70 of them absent'
  )


@pytest.mark.parametrize('is_remote', [False, True])
def test_of_a_large_or_remote_set_a_sample_is_read(
  records, monkeypatch, is_remote
):
  limit = '_MOST_REMOTE_RECORDS' if is_remote else '_MOST_RECORDS'
  monkeypatch.setattr(training_set, limit, 2)
  monkeypatch.setattr(files, 'is_remote', lambda path: is_remote)
  learned = training_set.look(_params(records))
  assert learned['classes'] == '1: 2, 2: 0, 3: 1 in a sample of 2'
  assert learned['images'] == '1 without objects in a sample of 2'
  assert learned['objects'] == '3, none cut in a sample of 2'


@pytest.mark.parametrize(
  'labels,expected',
  [((1, 2, 1), '1: 2, 2: 1'), ((0, 2, 1), '0: 1, 1: 1, 2: 1')],
)
def test_what_a_classifier_learns_from(tmp_path, labels, expected):
  records = [classification_set.record(*each) for each in enumerate(labels)]
  params = golden_numbers.make_params(
    {
      'type': 'classification',
      'architecture': {'num_classes': 3},
      'train': {
        'train_file_pattern': record_factory.write_records(
          tmp_path / 'classes.tfrecord', records
        )
      },
    }
  )
  assert training_set.look(params) == {'classes': expected}
