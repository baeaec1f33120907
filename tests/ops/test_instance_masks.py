"""Masks are ones and zeros, and crops what a NumPy model says."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import instance_masks
from tests import record_factory

_HEIGHT, _WIDTH = 30, 40


def _mask(seed, value=1):
  random = np.random.RandomState(seed)
  return (random.uniform(size=(_HEIGHT, _WIDTH)) > 0.5).astype(np.uint8) * value


def _model(mask, box, size):
  """Samples from edge to edge, bilinear, 0 beyond the mask."""
  crop = np.zeros([size, size], np.float32)
  ymin, xmin, ymax, xmax = box
  step = np.arange(size) / (size - 1)
  ys = (ymin + step * (ymax - ymin)) * (_HEIGHT - 1)
  xs = (xmin + step * (xmax - xmin)) * (_WIDTH - 1)
  for i, y in enumerate(ys):
    for j, x in enumerate(xs):
      if 0 <= y <= _HEIGHT - 1 and 0 <= x <= _WIDTH - 1:
        y0, x0 = int(np.floor(y)), int(np.floor(x))
        y1, x1 = int(np.ceil(y)), int(np.ceil(x))
        v, u = y - y0, x - x0
        above = mask[y0, x0] * (1 - u) + mask[y0, x1] * u
        below = mask[y1, x0] * (1 - u) + mask[y1, x1] * u
        crop[i, j] = above * (1 - v) + below * v
  return crop


def _crop(masks, boxes, sizes=None, size=9):
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(
      instance_masks.crop(
        tf.constant([record_factory.encode(m) for m in masks], tf.string),
        tf.constant(np.float32(boxes).reshape([-1, 4])),
        tf.constant(
          np.float32(sizes or [(_HEIGHT, _WIDTH)] * len(masks)).reshape([-1, 2])
        ),
        [size],
      )[0]
    )


def test_crops_are_those_of_the_model():
  boxes = [
    (0.1, 0.2, 0.7, 0.6),
    (0.0, 0.0, 1.0, 1.0),
    (-0.1, 0.5, 0.4, 1.2),
    (0.31, 0.42, 0.33, 0.45),
  ]
  # White, as most tools write masks, is 1.
  masks = [_mask(seed, 255 if seed % 2 else 1) for seed in range(len(boxes))]
  wanted = [_model(m > 0, box, 9) for m, box in zip(masks, boxes)]
  np.testing.assert_allclose(_crop(masks, boxes), wanted, atol=2e-5)


def test_no_mask():
  assert _crop([], []).shape == (0, 9, 9)


def test_mask_of_another_size():
  with pytest.raises(tf.errors.InvalidArgumentError, match='A mask of'):
    _crop([_mask(0)], [(0, 0, 1, 1)], [(_WIDTH, _HEIGHT)])
