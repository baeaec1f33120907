"""Objects of a batch as one list, with what travels beside them."""

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import object_list

_BESIDE = {'mask': (tf.uint8, [2])}


def _data(count):
  return {
    'groundtruth_boxes': tf.ones([count, 4]) * 0.5,
    'groundtruth_classes': tf.range(1, count + 1),
    'groundtruth_is_crowd': tf.equal(tf.range(count), 1),
    'groundtruth_area': tf.ones([count]),
    'mask': tf.cast(tf.stack([tf.range(count)] * 2, axis=1), tf.uint8),
  }


def test_what_travels_beside_the_rows_stays_with_its_object():
  counts = tf.data.Dataset.from_tensor_slices([2, 3, 1])
  dataset = counts.map(lambda n: object_list.pack(_data(n), _BESIDE))
  none = tf.data.Dataset.from_tensors(0).map(
    lambda _: object_list.pack_none(_BESIDE)
  )
  batch = tf.data.make_one_shot_iterator(
    dataset.concatenate(none).batch(4, drop_remainder=True)
  ).get_next()
  objects = object_list.unpack(batch, 4)
  kept = object_list.keep(objects, tf.logical_not(objects.is_crowd))
  with tf.Session() as session:
    objects, kept = session.run([objects, kept])
  assert objects.num_objects.tolist() == [2, 3, 1, 0]
  assert objects.beside['mask'][:, 0].tolist() == [0, 1, 0, 1, 2, 0]
  assert kept.num_objects.tolist() == [1, 2, 1, 0]
  assert kept.classes.tolist() == [1, 1, 3, 1]
  np.testing.assert_array_equal(
    kept.beside['mask'], [[0, 0], [0, 0], [2, 2], [0, 0]]
  )
