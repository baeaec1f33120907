"""Masks pasted by the rule, and nothing lost in windows, runs and outlines."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_lib

from utils import mask_utils


def _paste_by_the_rule(mask, box, height, width):
  """One mask on a whole image, step by step."""
  m_h, m_w = mask.shape
  scale = max((m_h + 2) / m_h, (m_w + 2) / m_w)
  x, y, w, h = box
  corners = [
    x + w / 2 - w / 2 * scale,
    y + h / 2 - h / 2 * scale,
    x + w / 2 + w / 2 * scale,
    y + h / 2 + h / 2 * scale,
  ]
  x0, y0, x1, y1 = np.array(corners).astype(np.int32)
  padded = np.zeros([m_h + 2, m_w + 2], np.float32)
  padded[1:-1, 1:-1] = mask
  size = (max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1))
  resized = cv2.resize(padded, size) > 0.5
  image = np.zeros([height, width], np.uint8, order='F')
  for row in range(max(y0, 0), min(y1 + 1, height)):
    for column in range(max(x0, 0), min(x1 + 1, width)):
      image[row, column] = resized[row - y0, column - x0]
  return image


def _soft_masks(random, count, shape=(28, 28)):
  noise = random.rand(count, *shape).astype(np.float32)
  blurred = [cv2.GaussianBlur(mask, (5, 5), 1.5) for mask in noise]
  return (np.stack(blurred) - 0.5) * 6 + 0.5


def _boxes(random, count, height, width):
  """Within the image, across its border, beyond it, and around it."""
  boxes = np.stack(
    [
      random.uniform(-width / 2, width, count),
      random.uniform(-height / 2, height, count),
      random.uniform(0, width, count),
      random.uniform(0, height, count),
    ],
    axis=1,
  )
  boxes[:3] = [
    [-20, -20, width + 40, height + 40],
    [2, -20, 7, height + 40],
    [width + 50, 3, 20, 20],
  ]
  return boxes


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize(
  'height,width,mask_shape',
  [(41, 67, (28, 28)), (90, 33, (28, 14)), (5, 4, (28, 28)), (1, 1, (7, 7))],
)
def test_pasting_and_run_lengths(height, width, mask_shape, dtype):
  random = np.random.RandomState(0)
  masks = _soft_masks(random, 24, mask_shape)
  masks[:2], masks[3] = 1, 0
  boxes = _boxes(random, len(masks), height, width).astype(dtype)
  expected = [
    _paste_by_the_rule(mask, box, height, width)
    for mask, box in zip(masks, boxes.astype(np.float64))
  ]
  images = mask_utils.paste_instance_masks(masks, boxes, height, width)
  assert images.dtype == np.uint8
  np.testing.assert_array_equal(images, expected)
  windows = mask_utils.paste_windows(masks, boxes, height, width)
  encoded = mask_utils.encode_windows(windows, height, width)
  assert encoded == [mask_utils.encode_as_text(image) for image in expected]


def test_no_masks():
  none = np.zeros([0, 28, 28], np.float32)
  images = mask_utils.paste_instance_masks(none, np.zeros([0, 4]), 5, 6)
  assert images.shape == (0, 5, 6)
  assert mask_utils.encode_windows([], 5, 6) == []


def test_polygons_follow_the_edges_of_pixels():
  random = np.random.RandomState(0)
  for mask in _soft_masks(random, 10, (30, 40)):
    pixels = (mask > 0.5).astype(np.uint8)
    polygons = mask_utils.window_polygons(
      mask_utils.MaskWindow(7, 3, pixels), tolerance=0
    )
    contours, _ = cv2.findContours(
      pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    without_holes = cv2.drawContours(np.zeros_like(pixels), contours, -1, 1, -1)
    assert len(polygons) == len(contours) > 1
    decoded = mask_lib.decode(
      mask_lib.merge(mask_lib.frPyObjects(polygons, 50, 60))
    )
    np.testing.assert_array_equal(decoded[7:37, 3:43], without_holes)
    assert decoded.sum() == without_holes.sum()


def test_polygons_of_small_and_simple_masks():
  def polygons(pixels, tolerance=0):
    window = mask_utils.MaskWindow(10, 20, np.array(pixels, np.uint8))
    return mask_utils.window_polygons(window, tolerance)

  assert polygons(np.zeros([0, 3])) == polygons(np.zeros([4, 3])) == []
  assert polygons([[0, 1]]) == [[21, 10, 21, 11, 22, 11, 22, 10]]
  (line,) = polygons(np.ones([50, 1]))
  assert line == [20, 10, 20, 60, 21, 60, 21, 10]
  assert polygons([[1]], 0.75) == polygons([[1]])
  diagonal = np.eye(2)
  assert polygons(diagonal, 0.75) == polygons(diagonal) != []
  stairs = np.tri(40)
  assert len(polygons(stairs)[0]) == 2 * 82
  (smooth,) = polygons(stairs, tolerance=1)
  assert len(smooth) == 2 * 3
