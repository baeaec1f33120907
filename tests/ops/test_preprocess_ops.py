"""Resizing plans, resampling, normalisation and padding."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import preprocess_ops


def _run(tensors):
  with tf.Session() as session:
    return session.run(tensors)


@pytest.mark.parametrize(
  'size, desired, scaled, scale',
  [
    ((427, 640), (640, 640), (427, 640), (1.0, 1.0)),
    ((37, 53), (64, 128), (64, 92), (1.7297298, 1.7358490)),
    ((1000, 17), (128, 128), (128, 2), (0.128, 0.11764706)),
    # A side that rounds to 0 has one pixel.
    ((1, 1400), (640, 640), (1, 640), (1.0, 0.45714287)),
  ],
)
def test_plan_without_jitter(size, desired, scaled, scale):
  with tf.Graph().as_default():
    plan = _run(
      preprocess_ops.plan_resize(tf.constant(size, tf.float32), desired)
    )
  assert plan.scaled_size.tolist() == list(scaled)
  np.testing.assert_allclose(
    plan.image_info, [size, desired, scale, (0, 0)], rtol=1e-6
  )


@pytest.mark.parametrize(
  'draws, scaled, offset',
  [
    ((0.0, 0.9, 0.9), (38, 51), (0, 0)),
    ((1.0, 0.0, 0.0), (58, 77), (0, 0)),
    ((1.0, 0.9, 0.5), (58, 77), (0, 6)),
  ],
)
def test_plan_with_jitter(draws, scaled, offset):
  with tf.Graph().as_default():
    plan = _run(
      preprocess_ops.plan_resize(
        tf.constant([48.0, 64.0]), (64, 64), (0.8, 1.2), tf.constant(draws)
      )
    )
  assert plan.scaled_size.tolist() == list(scaled)
  assert plan.offset.tolist() == list(offset)
  assert plan.image_info[1].tolist() == [64, 64]


def _resize_by_definition(image, scaled):
  """Bilinear, corners aligned at the top and left only."""
  out = np.zeros(tuple(scaled) + (3,))
  height, width = image.shape[:2]
  for i in range(scaled[0]):
    for j in range(scaled[1]):
      y, x = i * height / scaled[0], j * width / scaled[1]
      y0, x0 = int(y), int(x)
      y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
      top = image[y0, x0] * (1 - x + x0) + image[y0, x1] * (x - x0)
      bottom = image[y1, x0] * (1 - x + x0) + image[y1, x1] * (x - x0)
      out[i, j] = top * (1 - y + y0) + bottom * (y - y0)
  return out


@pytest.mark.parametrize('size', [(9, 12), (90, 120)])
def test_resize_crop_normalize(size):
  image = np.random.RandomState(0).randint(0, 256, size + (3,)).astype(np.uint8)
  with tf.Graph().as_default():
    plan = preprocess_ops.plan_resize(
      tf.constant(size, tf.float32),
      (16, 16),
      (1.5, 1.5),
      tf.constant([0, 0.4, 0.7]),
    )
    out, plan = _run(
      [
        preprocess_ops.resize_crop_normalize(
          tf.constant(image), plan, (16, 16)
        ),
        plan,
      ]
    )
  assert plan.scaled_size.tolist() == [18, 24]
  assert plan.offset.tolist() == [0, 5]
  pixels = _resize_by_definition(image.astype(np.float64), (18, 24))[:16, 5:21]
  expected = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  np.testing.assert_allclose(out, expected, atol=1e-4)


def test_bfloat16_is_the_nearest():
  values = np.random.RandomState(0).standard_normal(5000).astype(np.float32)
  values = values.reshape([50, 20, 5])
  with tf.Graph().as_default():
    fast = preprocess_ops.to_bfloat16(tf.constant(values))
    assert fast.dtype == tf.bfloat16
    fast, cast = _run(
      [
        tf.cast(fast, tf.float32),
        tf.cast(tf.cast(values, tf.bfloat16), tf.float32),
      ]
    )
  np.testing.assert_array_equal(fast, cast)


@pytest.mark.parametrize('dtype', [tf.float32, tf.bfloat16])
def test_pad_image(dtype):
  image = np.arange(2 * 3 * 3, dtype=np.float32).reshape([2, 3, 3])
  with tf.Graph().as_default():
    padded = preprocess_ops.pad_image(tf.cast(image, dtype), (4, 5))
    assert padded.shape.as_list() == [4, 5, 3]
    padded = _run(tf.cast(padded, tf.float32))
  np.testing.assert_array_equal(padded, np.pad(image, [(0, 2), (0, 2), (0, 0)]))


def test_padded_size():
  assert preprocess_ops.padded_size([640, 640], 128) == (640, 640)
  assert preprocess_ops.padded_size([64, 129], 128) == (128, 256)
