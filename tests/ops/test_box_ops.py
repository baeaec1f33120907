"""Box geometry against written-out values."""

import numpy as np
import tensorflow.compat.v1 as tf

from ops import box_ops


def _run(tensor):
  with tf.Session() as session:
    return session.run(tensor)


def test_denormalize_takes_each_box_its_image():
  with tf.Graph().as_default():
    boxes = _run(
      box_ops.denormalize_boxes(
        tf.constant([[0.1, 0.2, 0.5, 1.0], [0.1, 0.2, 0.5, 1.0]]),
        tf.constant([[100.0, 200.0], [10.0, 20.0]]),
      )
    )
  np.testing.assert_allclose(boxes, [[10, 40, 50, 200], [1, 4, 5, 20]])


def test_flip():
  with tf.Graph().as_default():
    boxes = _run(
      box_ops.flip_boxes_horizontally(tf.constant([[0.1, 0.2, 0.5, 0.7]]))
    )
  np.testing.assert_allclose(boxes, [[0.1, 0.3, 0.5, 0.8]], rtol=1e-6)


def test_scale_about_the_centre():
  with tf.Graph().as_default():
    boxes = tf.constant([[[10.0, 20.0, 30.0, 28.0], [5.0] * 4]])
    scaled = _run(box_ops.scale_boxes(boxes, 1.25))
  np.testing.assert_allclose(scaled, [[[7.5, 19, 32.5, 29], [5] * 4]])


def test_resize_and_crop_clips_to_the_last_row_and_column():
  with tf.Graph().as_default():
    boxes = _run(
      box_ops.resize_and_crop_boxes(
        tf.constant([[10.0, 20.0, 90.0, 60.0], [0.0, 0.0, 4.0, 300.0]]),
        tf.constant([[2.0, 0.5], [2.0, 0.5]]),
        tf.constant([[150.0, 30.0], [150.0, 30.0]]),
        tf.constant([[5.0, 3.0], [10.0, 3.0]]),
      )
    )
  np.testing.assert_allclose(boxes, [[15, 7, 149, 27], [0, 0, 0, 29]])


def test_is_not_empty():
  with tf.Graph().as_default():
    boxes = tf.constant([[0, 0, 1, 1], [0, 0, 0, 1], [0, 2, 1, 2]], tf.float32)
    full, none = _run(
      [box_ops.is_not_empty(boxes), box_ops.is_not_empty(boxes[:0])]
    )
  assert full.tolist() == [True, False, False]
  assert none.tolist() == []
