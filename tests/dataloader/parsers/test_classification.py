"""Batches of images with a class each."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import input_reader, record_check
from tests import classification_set, golden_numbers, record_factory
from utils import errors, mode_keys


def _params(**changes):
  return golden_numbers.make_params(
    {
      'type': 'classification',
      'architecture': {'num_classes': 6},
      'classification_parser': {'output_size': [32, 48]},
      **changes,
    }
  )


def _batches(path, params, mode, batch_size, count=1):
  with tf.Graph().as_default(), tf.Session() as session:
    dataset = input_reader.InputFn(path, params, mode)(
      {'batch_size': batch_size}
    )
    batch = tf.data.make_one_shot_iterator(dataset).get_next()
    for tensor in tf.nest.flatten(batch):
      assert tensor.shape.is_fully_defined()
    return [session.run(batch) for _ in range(count)]


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  return classification_set.write(tmp_path_factory.mktemp('data'))


def test_golden_evaluation_batch(tmp_path):
  # The images of the golden records, which have a class besides.
  examples = []
  for class_id, record in enumerate(
    tf.io.tf_record_iterator(golden_numbers.RECORDS), start=1
  ):
    example = tf.train.Example.FromString(record)
    label = example.features.feature['image/class/label']
    label.int64_list.value.append(class_id)
    examples.append(example.SerializeToString())
  path = record_factory.write_records(tmp_path / 'a.tfrecord', examples)
  params = _params(classification_parser={'output_size': [96, 112]})
  ((images, labels),) = _batches(path, params, mode_keys.EVAL, 4)
  want = golden_numbers.expected('labels_classification_eval.npz')
  assert images.shape == tuple(want['images@shape'])
  sample = images.reshape(-1)[::97]
  assert golden_numbers.relative_error(want['images@sample'], sample) < 1e-5
  assert labels.dtype == np.int32
  np.testing.assert_array_equal(labels, want['labels'])


def test_the_last_batch_is_marked_in_every_mode(records):
  _, (images, labels) = _batches(records, _params(), mode_keys.EVAL, 4, 2)
  assert labels.tolist() == [2, 3, 1, -1]
  assert not images[3].any() and images[:3].any(axis=(1, 2, 3)).all()
  for mode in (mode_keys.PREDICT, mode_keys.PREDICT_WITH_GT):
    _, batch = _batches(records, _params(), mode, 4, 2)
    np.testing.assert_array_equal(batch['images'], images)
    assert batch['labels']['is_padding'].tolist() == [0, 0, 0, 1]
  groundtruths = batch['labels']['groundtruths']
  assert groundtruths['classes'].tolist() == [2, 3, 1, -1]
  assert groundtruths['source_id'].tolist() == [104, 105, 106, -1]


def test_training_windows_follow_from_the_seed(records):
  # JPEG and PNG take turns in the records.
  params = _params(train={'seed': 3})
  first, again = (
    _batches(records, params, mode_keys.TRAIN, 7, 2) for _ in range(2)
  )
  for (images, labels), (images_again, labels_again) in zip(first, again):
    np.testing.assert_array_equal(images, images_again)
    np.testing.assert_array_equal(labels, labels_again)
    assert sorted(labels) == [1, 1, 1, 2, 2, 3, 3]
  # Of the same image two epochs show other windows.
  by_label = [images[np.argsort(labels)] for images, labels in first]
  assert np.abs(by_label[0] - by_label[1]).max() > 0.1


@pytest.mark.slow
def test_layouts_and_policies_of_training(records):
  policy = {'output_size': [32, 48], 'aug_policy': 'randaugment-2-5'}
  params = _params(
    train={'seed': 3, 'transpose_input': True},
    architecture={'num_classes': 6, 'use_bfloat16': True},
    classification_parser=policy,
  )
  ((images, _),) = _batches(records, params, mode_keys.TRAIN, 7)
  assert images.shape == (32, 48, 3, 7) and images.dtype.name == 'bfloat16'
  assert np.isfinite(images.astype(np.float32)).all()
  plain = _params(train={'seed': 3})
  ((without, _),) = _batches(records, plain, mode_keys.TRAIN, 7)
  changed = np.moveaxis(images.astype(np.float32), -1, 0) - without
  assert (np.abs(changed).max(axis=(1, 2, 3)) > 0.5).sum() >= 3


def test_broken_images_are_skipped_where_that_is_wanted(tmp_path):
  broken = record_factory.encode(record_factory.pixels(), 'JPEG')[:200]
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord',
    [
      classification_set.record(1, 1),
      classification_set.record(2, 2, encoded=broken),
    ],
  )
  params = _params(train={'skip_broken_images': True})
  for _, labels in _batches(path, params, mode_keys.TRAIN, 2, 3):
    assert labels.tolist() == [1, 1]
  with pytest.raises(tf.errors.InvalidArgumentError) as caught:
    _batches(path, _params(), mode_keys.TRAIN, 2)
  explained = str(record_check.explain_failure(path, _params(), caught.value))
  assert "record 1 (source id '2'): the image does not decode" in explained


@pytest.mark.parametrize(
  'label, reason',
  [
    (6, 'class id 6 is outside of 0 to 5 (architecture.num_classes is 6'),
    (-3, 'class id -3 is outside of 0 to 5'),
    (None, 'image/class/label holds 0 values; an image has exactly one class'),
    ([1, 2], 'image/class/label holds 2 values'),
  ],
)
@pytest.mark.parametrize('mode', [mode_keys.TRAIN, mode_keys.PREDICT_WITH_GT])
def test_a_class_that_there_is_not_is_named(tmp_path, mode, label, reason):
  path = record_factory.write_records(
    tmp_path / 'a.tfrecord', [classification_set.record(77, label)]
  )
  with pytest.raises(tf.errors.InvalidArgumentError) as caught:
    _batches(path, _params(), mode, 1)
  explained = str(record_check.explain_failure(path, _params(), caught.value))
  assert f"'{path}', record 0 (source id '77'): " in explained
  assert reason in explained


def test_records_of_another_kind_are_refused(records, tmp_path):
  boxes = record_factory.write_records(
    tmp_path / 'boxes.tfrecord', [record_factory.make_record()]
  )
  key = 'train.train_file_pattern'
  with pytest.raises(
    errors.DataError,
    match=f"{key}: the records of '{boxes}' hold objects in boxes "
    r"\(image/object/class/label\), but 'classification' learns from a class",
  ):
    record_check.check_contents(boxes, _params(), key)
  with pytest.raises(
    errors.DataError,
    match=f"{key}: the records of '{records}' hold a class for each image "
    r"\(image/class/label\), but 'retinanet' learns from objects in boxes",
  ):
    record_check.check_contents(records, golden_numbers.make_params(), key)
  record_check.check_contents(records, _params(), key)
  record_check.check_contents(boxes, golden_numbers.make_params(), key)
