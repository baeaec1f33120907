"""Tests of ops.window_resize."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import preprocess_ops, window_resize


@pytest.mark.parametrize(
  'size, scale, draws',
  [
    ((48, 64), 0.7, (0.0, 0.0)),
    ((48, 64), 1.3, (0.3, 0.6)),
    ((48, 64), 2.0, (0.4, 0.7)),
    ((48, 64), 1.9, (0.999, 0.999)),
    ((64, 37), 1.7, (0.0, 0.999)),
    ((1, 9), 2.0, (0.5, 0.5)),
    ((9, 1), 1.5, (0.999, 0.0)),
  ],
)
def test_windows_are_those_of_the_whole(size, scale, draws):
  image = np.random.RandomState(0).randint(0, 256, size + (3,)).astype(np.uint8)
  with tf.Graph().as_default(), tf.Session() as session:
    plan = preprocess_ops.plan_resize(
      tf.constant(size, tf.float32),
      (64, 64),
      (scale, scale),
      tf.constant([0.0, *draws]),
    )
    window, whole = session.run(
      [
        module.resize_crop(tf.constant(image), plan, (64, 64))
        for module in (window_resize, preprocess_ops)
      ]
    )
  assert window.shape == whole.shape
  np.testing.assert_allclose(window, whole, rtol=1e-6, atol=1e-4)


def test_a_window_of_written_out_pixels():
  # Each pixel holds 10 times its row and its column.
  image = 10 * np.arange(4)[:, None] + np.arange(4)
  image = np.tile(image[..., None], 3).astype(np.uint8)
  with tf.Graph().as_default(), tf.Session() as session:
    plan = preprocess_ops.plan_resize(
      tf.constant([4.0, 4.0]), (4, 4), (2.0, 2.0), tf.constant([0, 0.99, 0.5])
    )
    window = session.run(
      window_resize.resize_crop(tf.constant(image), plan, (4, 4))
    )
  np.testing.assert_allclose(
    window[..., 1],
    [
      [16.0, 16.5, 17.0, 17.5],
      [21.0, 21.5, 22.0, 22.5],
      [26.0, 26.5, 27.0, 27.5],
      [31.0, 31.5, 32.0, 32.5],
    ],
    atol=1e-4,
  )
