"""An evaluation wants masks of the records only if it scores by them."""

import json

import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader
from executor import run_check
from tests import golden_numbers, record_factory
from utils import errors, mode_keys


@pytest.fixture
def without_masks(tmp_path):
  """A record without masks, one whose mask is none, and annotations of both."""
  records = record_factory.write_records(
    tmp_path / 'a.tfrecord',
    [
      record_factory.make_record(b'1'),
      record_factory.make_record(b'2', object__mask=[1.0]),
    ],
  )
  box = [12, 4, 30, 20]
  path = tmp_path / 'val.json'
  path.write_text(
    json.dumps(
      {
        'images': [{'id': i, 'width': 60, 'height': 40} for i in (1, 2)],
        'annotations': [
          {
            'id': i,
            'image_id': i,
            'category_id': 1,
            'bbox': box,
            'segmentation': [[12, 4, 42, 4, 42, 24, 12, 24]],
          }
          for i in (1, 2)
        ],
        'categories': [{'id': 1}],
      }
    )
  )
  return records, str(path)


def _params(records, **settings):
  return golden_numbers.make_params(
    {
      'type': 'mask_rcnn',
      'architecture': {'num_classes': 4},
      'maskrcnn_parser': {'output_size': [64, 64]},
      'eval': {'eval_file_pattern': records, **settings},
    }
  )


@pytest.mark.parametrize(
  'kind, has_json, uses_json',
  [
    ('box_and_mask', True, True),
    ('box', True, True),
    ('box', False, True),
    ('box', False, False),
  ],
)
def test_masks_from_elsewhere_or_not_at_all(
  without_masks, kind, has_json, uses_json
):
  records, path = without_masks
  params = _params(
    records,
    type=kind,
    val_json_file=path if has_json else '',
    use_json_file=uses_json,
  )
  run_check.check(params, trains=False, evaluates=True)


@pytest.mark.parametrize('uses_json', [True, False])
def test_masks_from_the_records(without_masks, uses_json):
  records, path = without_masks
  params = _params(
    records,
    type='box_and_mask',
    val_json_file='' if uses_json else path,
    use_json_file=uses_json,
  )
  with pytest.raises(errors.DataError, match='eval.type=box evaluates without'):
    run_check.check(params, trains=False, evaluates=True)


def test_input_of_an_evaluation_reads_no_masks(without_masks):
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn(
      without_masks[0], _params(''), mode_keys.PREDICT_WITH_GT
    )({'batch_size': 2})
    batch = session.run(tf.data.make_one_shot_iterator(dataset).get_next())
  classes = batch['labels']['groundtruths']['classes']
  assert classes[:, 0].tolist() == [1, 1]
