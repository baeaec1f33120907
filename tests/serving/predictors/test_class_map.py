"""Class maps of single images."""

import numpy as np

from serving.predictors import predictor

_INFO = np.float32([[20, 40], [16, 16], [0.4, 0.4], [0, 0]])


def _found(logits):
  return predictor.detections_of_image(
    {'logits': np.float32(logits)}, _INFO[2], _INFO, (16, 16)
  )


def test_a_map_has_the_size_of_the_image():
  # The image is 8 x 16 of 16 x 16 pixels: the upper half of the cells.
  logits = np.zeros([4, 4, 3])
  logits[:2, 2:, 2] = 9
  logits[2:, :, 1] = 99
  found = _found(logits)
  assert found.class_map.shape == (20, 40)
  assert (found.class_map[:9, 25:] == 2).all()
  assert not found.class_map[:9, :9].any()
  assert found.is_finite() and 2 in found.classes


def test_numbers_that_are_not_finite_are_told():
  logits = np.zeros([4, 4, 3])
  logits[3, 3, 1] = np.nan
  assert not _found(logits).is_finite()
