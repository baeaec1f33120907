"""Batches of images with label maps."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader, record_check
from tests import golden_numbers, record_factory, segmentation_set
from utils import errors, mode_keys


def _params(**changes):
  settings = {'output_size': [32, 64], **changes}
  return golden_numbers.make_params(
    {
      'type': 'segmentation',
      'architecture': {'num_classes': 3},
      'train': {'seed': 1},
      'segmentation_parser': settings,
    }
  )


def _batch(path, params, mode, batch_size, skipped=0):
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn(path, params, mode)(
      {'batch_size': batch_size}
    )
    batch = tf.data.make_one_shot_iterator(dataset.skip(skipped)).get_next()
    for tensor in tf.nest.flatten(batch):
      assert tensor.shape.is_fully_defined()
    return session.run(batch)


def _written(tmp_path, *records):
  return record_factory.write_records(tmp_path / 'a.tfrecord', list(records))


def test_golden_labels():
  params = golden_numbers.make_params(
    {
      'type': 'segmentation',
      'architecture': {'num_classes': 5},
      'segmentation_parser': {'output_size': [128, 160], 'resize_eval': True},
    }
  )
  path = os.path.join(golden_numbers.DIRECTORY, 'records_seg.tfrecord')
  images, labels = _batch(path, params, mode_keys.EVAL, 4)
  golden_numbers.check_labels(
    'labels_segmentation_train.npz', {'images': images, 'labels': labels}
  )


def test_a_map_that_loses_its_last_row_has_ignored_pixels_there(tmp_path):
  # 41 rows become 128 of the image, and 127 of the map.
  labels = np.ones([41, 41], np.uint8)
  path = _written(tmp_path, segmentation_set.record(1, labels))
  params = _params(output_size=[128, 160], resize_eval=True)
  _, batch = _batch(path, params, mode_keys.EVAL, 1)
  mask = batch['masks'][0, :, :, 0]
  assert (mask[:127, :127] == 1).all()
  assert (mask[127:] == 255).all() and (mask[:, 127:] == 255).all()
  np.testing.assert_array_equal(batch['valid_masks'], batch['masks'] != 255)


def test_evaluation_shrinks_alone_unless_it_is_to_resize(tmp_path):
  small, large = segmentation_set.label_map(20, 30), np.eye(80, dtype=np.uint8)
  path = _written(
    tmp_path,
    segmentation_set.record(1, small),
    segmentation_set.record(2, large.repeat(2, axis=1)),
  )
  _, batch = _batch(path, _params(), mode_keys.EVAL, 2)
  mask = batch['masks'][..., 0]
  np.testing.assert_array_equal(mask[0, :20, :30], small)
  assert (mask[0, 20:] == 255).all() and (mask[0, :, 30:] == 255).all()
  # 80 x 160 is fitted into 32 x 64.
  assert batch['image_info'][1].tolist() == [
    [80, 160],
    [32, 64],
    [pytest.approx(0.4)] * 2,
    [0, 0],
  ]
  assert set(np.unique(mask[1])) == {0, 1}


def test_training_moves_images_and_maps_alike(tmp_path):
  labels = segmentation_set.label_map(64, 64)
  # Exactly the colours of the labels.
  image = np.float32([[0, 0, 0], [0, 255, 0], [0, 0, 255]])
  image = image[labels % 255].astype(np.uint8)
  path = _written(tmp_path, segmentation_set.record(1, labels, image))
  params = _params(output_size=[64, 96], aug_scale_min=0.5, aug_scale_max=2.0)
  images, batch = _batch(path, params, mode_keys.TRAIN, 8)
  masks = batch['masks'][..., 0]
  for channel in (1, 2):
    is_bright = images[..., channel] > 0.5
    is_class = masks == channel
    assert is_class.any()
    # Bilinear and nearest neighbour differ at edges.
    assert (is_bright ^ is_class).sum() < 0.15 * is_class.sum()
  sides = {int(batch['image_info'][i, 2, 0] * 64) for i in range(8)}
  assert len(sides) > 4
  assert (masks == 255).any() and len(np.unique(masks, axis=0)) == 8
  # Class 1 is left of 2, and right where it is mirrored.
  left = [np.flatnonzero((m == 1).any(axis=0)).mean() for m in masks]
  right = [np.flatnonzero((m == 2).any(axis=0)).mean() for m in masks]
  assert len(set(np.greater(left, right))) == 2


def test_the_last_batch_is_marked(tmp_path):
  path = segmentation_set.write(tmp_path)
  for mode in (mode_keys.PREDICT, mode_keys.PREDICT_WITH_GT):
    batch = _batch(path, _params(), mode, 3, skipped=1)
    labels = batch['labels']
    assert labels['is_padding'].tolist() == [False, False, True]
    assert not labels['valid_masks'][2].any()
    assert labels['valid_masks'][:2].any(axis=(1, 2, 3)).all()
  groundtruths = labels['groundtruths']
  assert groundtruths['source_id'].tolist() == [103, 104, -1]
  np.testing.assert_array_equal(groundtruths['masks'], labels['masks'])


def _palette():
  image = record_factory.Image.fromarray(segmentation_set.label_map())
  image = image.convert('P')
  buffer = record_factory.io.BytesIO()
  image.save(buffer, 'PNG')
  return buffer.getvalue()


@pytest.mark.parametrize(
  'changes, reason',
  [
    (
      {'labels': np.full([40, 60], 3, np.uint8)},
      r'label map .* has label 3, above 2 \(architecture.num_classes is 3\)',
    ),
    (
      {'labels': np.zeros([40, 61], np.uint8)},
      r'is 61 x 40 pixels, the image 60 x 40 \(width x height\)',
    ),
    ({'png': b'\x89PNG\r\n\x1a\nno'}, 'label map .* does not decode'),
    ({'png': _palette()}, 'is a PNG of mode P, not a grey PNG of 8 bits'),
    (
      {'png': record_factory.encode(np.zeros([40, 60], np.uint16))},
      'is a PNG of mode I, not a grey PNG of 8 bits',
    ),
  ],
)
def test_a_bad_label_map_is_named(tmp_path, changes, reason):
  image = record_factory.pixels(40, 60)
  labels = segmentation_set.label_map()
  path = _written(
    tmp_path,
    segmentation_set.record(1),
    segmentation_set.record(7, **{'labels': labels, 'image': image, **changes}),
  )
  key = 'train.train_file_pattern'
  with pytest.raises(errors.DataError, match=reason) as caught:
    record_check.check_contents(path, _params(), key)
  assert f"{key}: TFRecord file '{path}', record 1 (source id '7'):" in str(
    caught.value
  )
  if 'png' not in changes:
    with pytest.raises(tf.errors.InvalidArgumentError, match="'?7"):
      _batch(path, _params(), mode_keys.PREDICT_WITH_GT, 2)


def test_records_of_boxes_are_refused(tmp_path):
  boxes = _written(tmp_path, record_factory.make_record())
  with pytest.raises(
    errors.DataError, match="'segmentation' learns from a class for each pixel"
  ):
    record_check.check_contents(boxes, _params(), 'eval.eval_file_pattern')
  maps = segmentation_set.write(tmp_path)
  with pytest.raises(errors.DataError, match='hold a class for each pixel'):
    record_check.check_contents(
      maps, golden_numbers.make_params(), 'eval.eval_file_pattern'
    )
