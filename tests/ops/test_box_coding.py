"""The two box codings against values worked out by hand."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import box_coding


def _run(function, *arrays):
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(function(*[tf.constant(a, tf.float32) for a in arrays]))


def test_encode_measures_sides_without_the_extra_pixel():
  anchor = [10.0, 20.0, 30.0, 60.0]  # Sides 20 and 40, centre (20, 40).
  box = [20.0, 30.0, 60.0, 70.0]  # Sides 40 and 40, centre (40, 50).
  got = _run(box_coding.encode_targets, [[box]], [[anchor]])
  np.testing.assert_allclose(got, [[[1.0, 0.25, np.log(2.0), 0.0]]], atol=1e-6)


def test_decode_measures_sides_with_the_extra_pixel():
  anchor = [10.0, 20.0, 29.0, 59.0]  # Sides 20 and 40, centre (20, 40).
  encoded = [1.0, 0.25, np.log(2.0), 0.0]  # Centre (40, 50), sides 40 and 40.
  got = _run(box_coding.decode_boxes, [[encoded]], [[anchor]])
  np.testing.assert_allclose(got, [[[20.0, 30.0, 59.0, 69.0]]], atol=1e-4)


def test_zero_offsets_decode_to_the_anchor():
  anchors = np.array([[0, 0, 7, 7], [-4.5, 3, 11, 90]], np.float32)
  got = _run(box_coding.decode_boxes, np.zeros([2, 4]), anchors)
  np.testing.assert_allclose(got, anchors, atol=1e-5)


def test_growth_is_limited_and_shrinkage_is_not():
  anchor = [[0.0, 0.0, 15.0, 15.0]]  # Sides 16, centre (8, 8).
  grown = _run(box_coding.decode_boxes, [[0.0, 0.0, 9.0, 50.0]], anchor)
  np.testing.assert_allclose(grown, [[-492.0, -492.0, 507.0, 507.0]], rtol=1e-5)
  shrunk = _run(box_coding.decode_boxes, [[0.0, 0.0, -9.0, -50.0]], anchor)
  height = 16.0 * np.exp(-9.0)
  np.testing.assert_allclose(
    shrunk,
    [[8.0 - height / 2, 8.0, 8.0 + height / 2 - 1.0, 7.0]],
    rtol=1e-5,
  )


def test_boxes_without_area_encode_to_finite_numbers():
  got = _run(
    box_coding.encode_targets, [[3.0, 3.0, 3.0, 3.0]], [[0.0, 0.0, 2.0, 2.0]]
  )
  np.testing.assert_allclose(
    got, [[1.0, 1.0, np.log(0.5e-8), np.log(0.5e-8)]], rtol=1e-5
  )


@pytest.mark.parametrize('lead', [1, 3])
def test_anchors_broadcast_over_the_batch(lead):
  rng = np.random.RandomState(0)
  encoded = rng.standard_normal([3, 5, 4])
  anchors = np.array([0, 0, 20, 20]) + rng.rand(1, 5, 4)
  got = _run(box_coding.decode_boxes, encoded, np.tile(anchors, [lead, 1, 1]))
  for i in range(3):
    want = _run(box_coding.decode_boxes, encoded[i], anchors[0])
    np.testing.assert_allclose(got[i], want, rtol=1e-5, atol=1e-5)


def test_decode_computes_in_the_dtype_of_the_anchors():
  with tf.Graph().as_default():
    boxes = box_coding.decode_boxes(
      tf.zeros([2, 4], tf.bfloat16), tf.zeros([2, 4], tf.float32)
    )
  assert boxes.dtype == tf.float32
