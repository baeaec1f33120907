"""Windows have the library's distribution, and crops their pixels."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import crop_windows, image_decoding, preprocess_ops
from tests import record_factory

_COUNT = 4000


def _windows(size):
  draws = np.random.RandomState(0).rand(_COUNT, crop_windows.NUM_DRAWS)
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(
      tf.map_fn(
        lambda d: crop_windows.random_window(tf.constant(size), d),
        tf.constant(draws, tf.float32),
        dtype=tf.int32,
      )
    )


def _of_library(size):
  def window(_):
    begin, sides, _ = tf.image.sample_distorted_bounding_box(
      tf.constant([*size, 3]),
      tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
      seed=1,
      min_object_covered=0.08,
      aspect_ratio_range=(3 / 4, 4 / 3),
      area_range=(0.08, 1.0),
      max_attempts=10,
    )
    return tf.concat([begin[:2], sides[:2]], axis=0)

  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(tf.map_fn(window, tf.range(_COUNT)))


@pytest.mark.parametrize('size', [(100, 150), (37, 20), (64, 64)])
def test_random_windows_are_those_of_the_library(size):
  windows, wanted = _windows(size), _of_library(size)
  start, sides = windows[:, :2], windows[:, 2:]
  assert (start >= 0).all() and (start + sides <= size).all()
  shares = sides.prod(axis=1) / np.prod(size)
  assert shares.min() >= 0.08 and shares.max() <= 1
  for ours, theirs in zip(windows.T, wanted.T):
    for share in (5, 25, 50, 75, 95):
      assert abs(
        np.percentile(ours, share) - np.percentile(theirs, share)
      ) <= max(0.03 * max(size), 1)


def test_a_thin_image_gives_its_centre():
  # No window of these aspects has 8 % of the area.
  np.testing.assert_array_equal(
    _windows((4, 400)), np.tile([0, 198, 3, 3], [_COUNT, 1])
  )


@pytest.mark.parametrize(
  'size, window',
  [
    ((100, 120), [6, 16, 87, 87]),
    ((353, 391), [22, 41, 308, 308]),
    ((1, 9), [0, 4, 1, 1]),
  ],
)
def test_central_window(size, window):
  with tf.Graph().as_default(), tf.Session() as session:
    assert (
      session.run(crop_windows.central_window(tf.constant(size))).tolist()
      == window
    )


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG', 'BMP'])
def test_only_the_window_is_decoded(image_format):
  window = [16, 32, 32, 48]
  encoded = record_factory.encode(record_factory.pixels(80, 96), image_format)
  sizes = []

  def choose(size):
    sizes.append(size)
    return tf.constant(window)

  with tf.Graph().as_default(), tf.Session() as session:
    part = image_decoding.decode_window(tf.constant(encoded), choose)
    whole = image_decoding.decode_image(tf.constant(encoded))
    part, whole = session.run([part, whole])
  assert len(sizes) == 2 and part.shape == (32, 48, 3)
  # Colours at the edge of a JPEG's window lack those beyond it.
  difference = part[1:-1, 1:-1].astype(int) - whole[17:47, 33:79]
  assert np.abs(difference).max() <= 2


def test_center_fit_tells_where_its_pixels_come_from():
  # Each pixel holds its row, so that the resized image shows them.
  image = np.tile(np.arange(100)[:, None, None], [1, 120, 3]).astype(np.uint8)
  with tf.Graph().as_default(), tf.Session() as session:
    pixels, info = session.run(
      preprocess_ops.fit_center(tf.constant(image), (29, 58))
    )
  rows = 255 * (
    pixels[:, 0] * preprocess_ops.STDDEV_RGB + preprocess_ops.MEAN_RGB
  )
  np.testing.assert_allclose(rows[:, 0], 6 + 3 * np.arange(29), atol=1e-3)
  np.testing.assert_allclose(
    info, [[100, 120], [29, 58], [29 / 87, 58 / 87], [2, 16 * 58 / 87]]
  )
