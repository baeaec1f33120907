"""Masks of an exported model as pixels and as polygons.

`detection_masks` are probabilities within `detection_outer_boxes`, if a model
gives them, else within `detection_boxes`. With these in pixels of the image, as
the other clients give boxes:

  >>> boxes = np.float32([[10, 20, 30, 60]])  # ymin, xmin, ymax, xmax
  >>> masks = np.zeros([1, 28, 28], np.float32)
  >>> masks[0, :, 14:] = 0.9  # the right half
  >>> (pixels,) = paste(masks, boxes, height=50, width=100)
  >>> pixels.shape, pixels.dtype.name, int(pixels.sum())
  ((50, 100), 'uint8', 400)
  >>> outlines(pixels)
  [[[40, 10], [40, 30], [60, 30], [60, 10]]]

Needs NumPy and OpenCV.
"""

import cv2
import numpy as np


def paste(masks, boxes, height, width):
  """float [n, h, w] and [n, 4] to uint8 [n, height, width], 0 or 1."""
  pasted = np.zeros([len(masks), height, width], np.uint8)
  ymin, xmin, ymax, xmax = np.asarray(boxes, np.float64).T
  # Outermost pixels blend into a border of zeros, by which the box grows.
  grown = max((side + 2) / side for side in masks.shape[1:])
  y, half_height = (ymin + ymax) / 2, (ymax - ymin) / 2 * grown
  x, half_width = (xmin + xmax) / 2, (xmax - xmin) / 2 * grown
  corners = np.stack(
    [y - half_height, x - half_width, y + half_height, x + half_width], axis=1
  ).astype(int)
  for canvas, mask, (y0, x0, y1, x1) in zip(pasted, masks, corners):
    size = max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1)
    resized = cv2.resize(np.pad(mask, 1, 'constant'), size)
    top, left = max(y0, 0), max(x0, 0)
    seen = resized[top - y0 :, left - x0 :][: height - top, : width - left]
    if top < height and left < width and seen.size:
      canvas[top:, left:][: seen.shape[0], : seen.shape[1]] = seen > 0.5
  return pasted


def outlines(pixels, tolerance=0.75):
  """Outline [[x, y], ...] of each part of a mask, uint8 [height, width].

  Holes are filled. Points are corners of pixels, the first of which reaches
  from 0 to 1; a line is off by `tolerance` pixels at most.
  """
  # Contours run through the middles of pixels, of which each becomes four.
  contours, _ = cv2.findContours(
    pixels.repeat(2, axis=0).repeat(2, axis=1),
    cv2.RETR_EXTERNAL,
    cv2.CHAIN_APPROX_NONE,
  )
  points = []
  for contour in contours:
    corners = (contour + 1) // 2
    smooth = cv2.approxPolyDP(corners, tolerance, True)
    # What is thin would become a line.
    if 2 * cv2.contourArea(smooth) < cv2.contourArea(corners):
      smooth = cv2.approxPolyDP(corners, 0, True)
    points.append(smooth[:, 0].tolist())
  return points
