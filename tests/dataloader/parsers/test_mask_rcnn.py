"""Labels of two-stage detectors: golden numbers, masks, repeatable chance."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader
from tests import golden_numbers, record_factory
from utils import mode_keys

_NO_MASK = b'never decoded'


def _params(parser, architecture=None, **blocks):
  return golden_numbers.make_params(
    {
      'type': 'mask_rcnn',
      'architecture': {
        'num_classes': 4,
        'min_level': 3,
        'max_level': 6,
        **(architecture or {}),
      },
      'maskrcnn_parser': {
        'output_size': [128, 192],
        'rpn_batch_size_per_im': 100000,
        'aug_rand_hflip': False,
        'max_num_instances': 6,
        'mask_crop_size': 28,
        **parser,
      },
      **blocks,
    }
  )


def _batch(params, records, mode=mode_keys.TRAIN, num_threads=None):
  """One batch of all records, in order; in training (images, labels)."""
  config = tf.ConfigProto()
  if num_threads:
    config.inter_op_parallelism_threads = num_threads
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    dataset = input_reader.InputFn('', params, mode).batches(
      tf.data.Dataset.from_tensor_slices(list(records)), len(records)
    )
    return session.run(tf.data.make_one_shot_iterator(dataset).get_next())


def _golden_records():
  return list(tf.io.tf_record_iterator(golden_numbers.RECORDS))


def _mask(ymin, xmin, ymax, xmax):
  mask = np.zeros([40, 60], np.uint8)
  mask[ymin:ymax, xmin:xmax] = 1
  return record_factory.encode(mask)


_BOXES = [(0.0, 0.0, 0.5, 0.5), (0.25, 0.5, 0.75, 0.9), (0.5, 0.1, 1.0, 0.6)]


def _record(masks, boxes=_BOXES, **features):
  if masks:
    features['object__mask'] = masks
  return record_factory.make_record(
    boxes=boxes,
    classes=[1 + i % 3 for i in range(len(boxes))],
    **features,
  )


def _masks():
  """Each covers the left half of its box."""
  return [_mask(0, 0, 20, 15), _mask(10, 30, 30, 42), _mask(20, 6, 40, 21)]


@pytest.mark.parametrize(
  'name, mode, override',
  [
    ('maskrcnn_train', mode_keys.TRAIN, {}),
    (
      'fasterrcnn_train_thresholds',
      mode_keys.TRAIN,
      {
        'architecture': {'include_mask': False},
        'parser': {
          'output_size': [192, 128],
          'rpn_match_threshold': 0.5,
          'rpn_unmatched_threshold': 0.4,
        },
        'anchor': {'num_scales': 2, 'anchor_size': 4.0},
      },
    ),
  ],
)
def test_golden_labels(name, mode, override):
  params = _params(**{'parser': {}, **override})
  images, labels = _batch(params, _golden_records(), mode)
  golden_numbers.check_labels(
    f'labels_{name}.npz', {'images': images, 'labels': labels}
  )
  assert ('gt_masks' in labels) == params.architecture.include_mask


@pytest.mark.parametrize(
  'mode', [mode_keys.EVAL, mode_keys.PREDICT, mode_keys.PREDICT_WITH_GT]
)
def test_other_modes_have_anchors_and_no_targets(mode):
  batch = _batch(_params({}), _golden_records(), mode)
  labels = batch[1] if mode == mode_keys.EVAL else batch['labels']
  wanted = {'anchor_boxes', 'image_info', 'is_padding'}
  if mode != mode_keys.EVAL:
    wanted.add('source_id')
  if mode != mode_keys.PREDICT:
    wanted.add('groundtruths')
  assert set(labels) == wanted
  assert labels['anchor_boxes'][3].shape == (4, 16 * 24 * 3, 4)


def test_masks_follow_flips_and_crops():
  params = _params(
    {'aug_rand_hflip': True, 'aug_scale_min': 0.5, 'aug_scale_max': 2.0},
    train={'seed': 4, 'transpose_input': False},
  )
  _, labels = _batch(params, [_record(_masks())] * 12)
  _, _, scale, offset = np.moveaxis(labels['image_info'], 1, 0)
  is_left = set()
  for image, (boxes, masks) in enumerate(
    zip(labels['gt_boxes'], labels['gt_masks'])
  ):
    for box, mask in zip(boxes, masks):
      if box[0] < 0:
        assert np.all(box == -1) and np.all(mask == -1)
        continue
      ymin, xmin, ymax, xmax = (box + np.tile(offset[image], 2)) / np.tile(
        scale[image], 2
      )
      # Boxes that the crop cuts off show a part of the half alone.
      if not any(
        np.allclose((ymin, xmin, ymax, xmax), frame, atol=2.0)
        for frame in np.float32(_frames()) * [40, 60, 40, 60]
      ):
        continue
      left, right = mask[2:-2, 2:12].mean(), mask[2:-2, 16:-2].mean()
      assert abs(left - right) > 0.95
      is_left.add(left > right)
  assert is_left == {True, False}


def _frames():
  """The boxes as they are, and mirrored."""
  return _BOXES + [(a, 1 - d, c, 1 - b) for a, b, c, d in _BOXES]


def test_crowds_and_surplus_objects_are_not_decoded():
  masks = _masks()
  record = _record(
    [_NO_MASK, masks[1], masks[2], _NO_MASK],
    [*_BOXES, (0, 0, 0.5, 0.5)],
    object__is_crowd=[1, 0, 0, 0],
  )
  alone = _record(masks[1:], _BOXES[1:], object__class__label=[2, 3])
  _, labels = _batch(_params({'max_num_instances': 2}), [record, alone])
  for key in ('gt_boxes', 'gt_classes', 'gt_masks'):
    np.testing.assert_array_equal(*labels[key])


def test_image_without_objects():
  records = [_record([], []), _record(_masks())]
  _, labels = _batch(_params({'rpn_batch_size_per_im': 8}), records)
  assert np.all(labels['gt_masks'][0] == -1)
  assert np.all(labels['gt_classes'] == [[-1] * 6, [1, 2, 3, -1, -1, -1]])
  scores = np.concatenate(
    [s.reshape([2, -1]) for s in labels['rpn_score_targets'].values()], axis=1
  )
  assert np.sum(scores == 1, axis=1).tolist() == [0, 4]
  assert np.sum(scores == 0, axis=1).tolist() == [8, 4]


def test_numbers_of_masks_and_objects_differ():
  # In all, there are as many masks as objects.
  records = [_record(_masks()[:2]), _record([*_masks(), _NO_MASK])]
  with pytest.raises(tf.errors.InvalidArgumentError, match='differ in number'):
    _batch(_params({}), records)


def test_seed_decides_what_is_drawn():
  # The same image twice: what is drawn of it differs.
  params = _params(
    {'rpn_batch_size_per_im': 16}, train={'seed': 7, 'transpose_input': False}
  )
  records = [_record(_masks())] * 2
  batches = [_batch(params, records, num_threads=n) for n in (1, 4)]
  first, again = [labels['rpn_score_targets'][3] for _, labels in batches]
  np.testing.assert_array_equal(first, again)
  assert np.any(first[0] != first[1])
