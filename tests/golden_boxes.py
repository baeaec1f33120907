"""Boxes and masks behind the golden numbers of two-stage detectors."""

import numpy as np


def boxes_in(rng, count, height, width, low=10.0, high=80.0):
  """`count` boxes with sides from `low` to `high`, inside the image."""
  size = np.exp(rng.uniform(np.log(low), np.log(high), (count, 2)))
  size = np.minimum(size, [height - 2, width - 2])
  start = rng.uniform(0, 1, (count, 2)) * (np.array([height, width]) - 1 - size)
  return np.concatenate([start, start + size], 1).astype(np.float32)


def soft_masks(rng, count, side):
  """`count` ellipses, soft at the rim: [count, side, side]."""
  y, x = np.mgrid[:side, :side] / (side - 1.0) * 2 - 1
  ry, rx = rng.uniform(0.5, 1, (2, count, 1, 1))
  distance = np.sqrt((y / ry) ** 2 + (x / rx) ** 2)
  return np.clip((1 - distance) * side / 4 + 0.5, 0, 1).astype(np.float32)


def normal(rng, *shape):
  return rng.standard_normal(shape).astype(np.float32)
