"""Class maps against a model of NumPy's."""

import numpy as np
import tensorflow.compat.v1 as tf

from ops import class_maps


def _resized(values, size):
  """Bilinear, aligned at the first row and column only."""
  for axis, new in enumerate(size):
    old = values.shape[axis]
    source = np.arange(new) * old / new
    low = source.astype(int)
    high = np.minimum(low + 1, old - 1)
    share = np.expand_dims(source - low, tuple(range(1, values.ndim)))
    values = np.swapaxes(values, 0, axis)
    values = values[low] * (1 - share) + values[high] * share
    values = np.swapaxes(values, 0, axis)
  return values


def test_maps_of_the_original_image():
  # 70 x 100 is fitted into 128 x 128 as 90 x 128.
  scale = np.float32([90 / 70, 128 / 100])
  info = np.float32([[70, 100], [128, 128], scale, [0, 0]])
  logits = np.random.RandomState(0).randn(16, 16, 4).astype(np.float32) * 2
  full = _resized(logits.astype(np.float64), (128, 128))
  exact = _resized(full[:90, :128], (70, 100))
  probabilities = np.exp(exact) / np.exp(exact).sum(-1, keepdims=True)
  best = probabilities.max(-1)
  for threshold in (0.0, 0.5):
    with tf.Graph().as_default(), tf.Session() as session:
      classes, scores = session.run(
        class_maps.of_image(
          tf.constant(logits), tf.constant(info), (128, 128), threshold
        )
      )
    assert classes.dtype == scores.dtype == np.uint8
    assert classes.shape == scores.shape == (70, 100)
    assert np.mean(classes != exact.argmax(-1)) < 0.001
    wanted = np.where(best > threshold, np.floor(best * 255), 0)
    is_sure = np.abs(best - threshold) > 1e-4
    assert np.abs(scores - wanted)[is_sure].max() <= 1


def test_a_sliver_has_a_map():
  info = np.float32([[400, 1], [32, 32], [0.08, 1], [0, 0]])
  with tf.Graph().as_default(), tf.Session() as session:
    classes, _ = session.run(
      class_maps.of_image(tf.zeros([4, 4, 2]), info, (32, 32), 0.0)
    )
  assert classes.shape == (400, 1)
