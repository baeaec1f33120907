"""Labels of ShapeMask: golden numbers, sampled masks, repeatable chance."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader
from tests import golden_numbers, record_factory
from utils import mode_keys

_BOXES = [(0.0, 0.0, 0.5, 0.5), (0.25, 0.5, 0.75, 0.9), (0.5, 0.1, 1.0, 0.6)]


def _params(parser, **blocks):
  small = {'mask_crop_size': 16, 'upsample_factor': 2}
  return golden_numbers.make_params(
    {
      'type': 'shapemask',
      'architecture': {'num_classes': 4, 'max_level': 6},
      'shapemask_head': small,
      'shapemask_parser': {
        'output_size': [128, 192],
        'aug_rand_hflip': False,
        'aug_scale_min': 1.0,
        'aug_scale_max': 1.0,
        'box_jitter_scale': 0.0,
        'num_sampled_masks': 6,
        **small,
        **parser,
      },
      **blocks,
    }
  )


def _batches(params, records, mode=mode_keys.TRAIN, times=1):
  """Batches of all records, in order; in training (images, labels)."""
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn('', params, mode).batches(
      tf.data.Dataset.from_tensor_slices(list(records)), len(records)
    )
    return [
      session.run(tf.data.make_one_shot_iterator(dataset).get_next())
      for _ in range(times)
    ]


def _batch(*args):
  return _batches(*args)[0]


def _golden_records():
  return list(tf.io.tf_record_iterator(golden_numbers.RECORDS))


def _record(boxes=_BOXES, **features):
  """Objects of classes 1, 2, 3; a mask is the left half of its box."""
  masks = []
  for ymin, xmin, ymax, xmax in np.float32(boxes).reshape([-1, 4]):
    mask = np.zeros([40, 60], np.uint8)
    middle = (xmin + xmax) / 2
    mask[int(ymin * 40) : int(ymax * 40), int(xmin * 60) : int(middle * 60)] = 1
    masks.append(record_factory.encode(mask))
  if masks:
    features['object__mask'] = masks
  classes = [1 + i % 3 for i in range(len(boxes))]
  return record_factory.make_record(boxes=boxes, classes=classes, **features)


def test_golden_labels():
  images, labels = _batch(_params({}), _golden_records())
  # The original shuffles objects, too.
  for image, boxes in enumerate(np.round(labels['mask_boxes'], 2)):
    order = np.lexsort(boxes.T)
    for key in labels:
      if key.startswith(('mask_', 'fine_mask_')):
        labels[key][image] = labels[key][image][order]
  golden_numbers.check_labels(
    'labels_shapemask_train.npz', {'images': images, 'labels': labels}
  )


def test_other_modes_have_no_masks():
  # Records without masks do.
  record = record_factory.make_record()
  labels = _batch(_params({}), [record, record], mode_keys.PREDICT_WITH_GT)
  labels = labels['labels']
  assert {'cls_targets', 'num_positives', 'groundtruths'} <= set(labels)
  assert not any('mask' in key for key in labels)


def test_masks_within_outer_boxes():
  _, labels = _batch(_params({}), [_record(), _record([])])
  # 40 x 60 pixels fill 128 x 192.
  order = np.argsort(labels['mask_classes'][0])
  boxes, outer, coarse, fine = (
    labels[key][0][order]
    for key in (
      'mask_boxes',
      'mask_outer_boxes',
      'mask_targets',
      'fine_mask_targets',
    )
  )
  assert labels['mask_classes'][0][order].tolist() == [0, 0, 0, 1, 2, 3]
  np.testing.assert_allclose(boxes[4], [32, 96, 96, 172.8], rtol=1e-5)
  np.testing.assert_allclose(outer[4], [24, 86.4, 104, 182.4], rtol=1e-5)
  # Clipped at the image, and its own last pixel.
  np.testing.assert_allclose(outer[3], [0, 0, 72, 108], rtol=1e-5)
  assert coarse.shape == (6, 16, 16) and fine.shape == (6, 32, 32)
  assert {*np.unique(fine)} == {0, 1} and not coarse[:3].any()
  # Half of the box, which is a part of the outer box.
  assert fine[4].mean() == pytest.approx(0.5 / 1.25**2, abs=0.05)
  assert fine[4][:, 16:].sum() <= 32 and fine[4][8:24, 8:14].all()
  # Also what fills up counts, but not of an image without objects.
  assert labels['mask_is_valid'].tolist() == [[1] * 6, [0] * 6]
  assert not labels['mask_boxes'][1].any()


def test_masks_of_a_split_alone_count():
  _, labels = _batch(_params({'mask_train_class': 'voc'}), [_record()])
  assert np.array_equal(labels['mask_is_valid'], labels['mask_classes'] > 0)


def test_objects_without_category():
  params = _params({'use_category': False})
  _, labels = _batch(params, [_record()])
  assert sorted(labels['mask_classes'][0]) == [0, 0, 0, 1, 1, 1]
  assert max(targets.max() for targets in labels['cls_targets'].values()) == 1
  labels = _batch(params, [_record()], mode_keys.PREDICT_WITH_GT)['labels']
  assert set(labels['groundtruths']['classes'][0]) == {1, -1}


def test_boxes_follow_flips_crops_and_jitter():
  parser = {
    'aug_rand_hflip': True,
    'aug_scale_min': 0.5,
    'aug_scale_max': 2.0,
    'box_jitter_scale': 0.05,
  }
  params = _params(parser, train={'seed': 4, 'transpose_input': False})
  records = [_record(_BOXES[1:2])] * 16
  (_, labels), (_, again) = _batches(params, records, times=2)
  np.testing.assert_array_equal(labels['mask_boxes'], again['mask_boxes'])
  sides, lefts = [], set()
  for boxes, masks, info in zip(
    labels['mask_boxes'], labels['fine_mask_targets'], labels['image_info']
  ):
    (found,) = np.flatnonzero(boxes.any(axis=1)) if boxes.any() else (None,)
    if found is None:
      continue
    height, width = (boxes[found, 2:] - boxes[found, :2]) / info[2]
    # Others are cut off by the crop.
    if height > 17 and width > 20:
      sides.append((height / 20, width / 24))
      lefts.add(masks[found][:, :16].sum() > masks[found][:, 16:].sum())
  assert len(sides) >= 5 and lefts == {True, False}
  assert 0.01 < np.std(np.log(sides)) < 0.12


def test_other_objects_are_drawn_each_time():
  params = _params(
    {'num_sampled_masks': 2}, train={'seed': 1, 'transpose_input': False}
  )
  _, labels = _batch(params, [_record()] * 40)
  drawn = np.sort(labels['mask_classes'], axis=1)
  assert {tuple(row) for row in drawn} == {(1, 2), (1, 3), (2, 3)}
  first = np.bincount(labels['mask_classes'][:, 0], minlength=4)
  assert first[1:].min() > 5
