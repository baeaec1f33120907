"""Instance masks of an image: pasted, as run lengths, as polygons.

A model gives a mask as probabilities within its detection box. Pasting makes
pixels of the image of it. A pasted mask is held as the window of the image
that it lies in, since whole images of 100 objects take 100 times their memory.
Needs NumPy, OpenCV and pycocotools alone.
"""

from typing import Any, Dict, List, NamedTuple, Sequence

import cv2
import numpy as np
from pycocotools import mask as mask_lib

# Pixels of zeros around a mask, for its outermost ones to blend into.
_BORDER = 1
_THRESHOLD = 0.5

Rle = Dict[str, Any]


class MaskWindow(NamedTuple):
  """A mask in an image; outside of the window it is 0.

  Attributes:
    ymin: first row of the window in the image.
    xmin: first column.
    pixels: uint8 [h, w], 0 or 1; perhaps without any pixel.
  """

  ymin: int
  xmin: int
  pixels: np.ndarray


def paste_windows(
  masks: np.ndarray, boxes_xywh: np.ndarray, height: int, width: int
) -> List[MaskWindow]:
  """Pastes masks into an image, each as a window of it.

  A mask gets a border of zeros, is resized by bilinear interpolation to its
  box, which grows by the border, and is on where it is above 0.5
  (https://arxiv.org/abs/1703.06870).

  Args:
    masks: float [n, m_h, m_w], probabilities within the boxes.
    boxes_xywh: float [n, 4], xmin, ymin, width and height in pixels of the
      image; may reach beyond it.
    height: of the image.
    width: of the image.

  Returns:
    n windows within the image.
  """
  masks = np.asarray(masks, np.float32)
  if not len(masks):
    return []
  padded = np.pad(masks, [(0, 0)] + 2 * [(_BORDER, _BORDER)], 'constant')
  corners = _grown_corners(np.asarray(boxes_xywh), masks.shape[1:])
  return [
    _paste(mask, box, height, width)
    for mask, box in zip(padded, corners.tolist())
  ]


def paste_instance_masks(
  masks: np.ndarray, boxes_xywh: np.ndarray, height: int, width: int
) -> np.ndarray:
  """As `paste_windows`, but gives whole images, uint8 [n, height, width]."""
  images = np.zeros([len(masks), height, width], np.uint8)
  windows = paste_windows(masks, boxes_xywh, height, width)
  for image, (ymin, xmin, pixels) in zip(images, windows):
    h, w = pixels.shape
    image[ymin : ymin + h, xmin : xmin + w] = pixels
  return images


def encode_windows(
  windows: Sequence[MaskWindow], height: int, width: int
) -> List[Rle]:
  """Returns COCO's compressed run lengths of masks in an image.

  They are what `pycocotools.mask.encode` makes of the whole image, as text.
  """
  size = [height, width]
  runs = [
    {'size': size, 'counts': _run_lengths(window, height, width)}
    for window in windows
  ]
  encoded = mask_lib.frPyObjects(runs, height, width) if runs else []
  return [as_text(rle) for rle in encoded]


def encode_as_text(mask: np.ndarray) -> Rle:
  """Returns a mask [height, width] of 0 and 1 as run lengths, for JSON."""
  return as_text(mask_lib.encode(np.asfortranarray(mask, np.uint8)))


def as_text(rle: Rle) -> Rle:
  """Returns compressed run lengths, bytes or text, as JSON has them.

  They are a dict of `size`, [height, width], and `counts`, text.
  """
  counts = rle['counts']
  if isinstance(counts, bytes):
    counts = counts.decode('ascii')
  return {'size': [int(side) for side in rle['size']], 'counts': counts}


def to_rle(segmentation: Any, height: int, width: int) -> Rle:
  """Returns a segmentation of COCO as compressed run lengths.

  Args:
    segmentation: list of polygons, or run lengths: a dict of `size` and
      `counts`, a list of numbers or, compressed, text.
    height: of the image.
    width: of the image.
  """
  if isinstance(segmentation, list):
    return mask_lib.merge(mask_lib.frPyObjects(segmentation, height, width))
  if isinstance(segmentation['counts'], list):
    return mask_lib.frPyObjects(segmentation, height, width)
  return segmentation


def window_polygons(
  window: MaskWindow, tolerance: float = 0.75
) -> List[List[int]]:
  """Returns the outlines of a mask as COCO's polygons.

  Holes are filled: such polygons cannot have any, run lengths can.

  Args:
    window: the mask.
    tolerance: how far an outline may be off, in pixels. 0.75 makes a slope of
      stairs of single pixels; 0 follows the edges of the pixels, as the outline
      of a part does that would lose half of its area.

  Returns:
    For each connected part x0, y0, x1, y1, ... in pixels of the image, where
    pixel (0, 0) reaches from 0 to 1.
  """
  if not window.pixels.any():
    return []
  # Contours run through the centres of pixels. With each pixel in four, their
  # nearest corner of a whole pixel is an edge of the mask.
  quarters = window.pixels.repeat(2, axis=0).repeat(2, axis=1)
  contours, _ = cv2.findContours(
    quarters, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
  )
  polygons = []
  for contour in contours:
    corners = (contour + 1) // 2
    points = cv2.approxPolyDP(corners, tolerance, True)
    if 2 * cv2.contourArea(points) < cv2.contourArea(corners):
      # What is thin would become a line.
      points = cv2.approxPolyDP(corners, 0, True)
    points = points[:, 0] + [window.xmin, window.ymin]
    polygons.append(points.ravel().tolist())
  return polygons


def _grown_corners(boxes_xywh: np.ndarray, mask_shape: Any) -> np.ndarray:
  """int32 [n, 4], first and last column and row of the boxes with borders."""
  xmin, ymin, width, height = np.moveaxis(boxes_xywh, -1, 0)
  scale = max((side + 2 * _BORDER) / side for side in mask_shape)
  half_width, half_height = width * 0.5 * scale, height * 0.5 * scale
  x, y = xmin + width * 0.5, ymin + height * 0.5
  return np.stack(
    [x - half_width, y - half_height, x + half_width, y + half_height], axis=-1
  ).astype(np.int32)


def _paste(mask, box, height: int, width: int) -> MaskWindow:
  x0, y0, x1, y1 = box
  size = (max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1))
  left, top = min(max(x0, 0), width), min(max(y0, 0), height)
  resized = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
  seen = resized[
    top - y0 : max(min(y1 + 1, height) - y0, 0),
    left - x0 : max(min(x1 + 1, width) - x0, 0),
  ]
  return MaskWindow(top, left, (seen > _THRESHOLD).view(np.uint8))


def _run_lengths(window: MaskWindow, height: int, width: int) -> np.ndarray:
  """Numbers of pixels off, on, off, ... of an image, column by column."""
  h, w = window.pixels.shape
  # With a row of zeros each run ends within its column.
  columns = np.zeros([w, h + 1], np.uint8)
  columns[:, :h] = window.pixels.T
  flat = columns.ravel()
  changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
  if flat.size and flat[0]:
    changes = np.concatenate([[0], changes])
  column, row = np.divmod(changes, h + 1)
  edges = (window.xmin + column) * height + window.ymin + row
  if h == height:
    # Runs that go on in the next column.
    ends = np.flatnonzero(edges[1::2][:-1] == edges[2::2])
    edges = np.delete(edges, [2 * ends + 1, 2 * ends + 2])
  edges = np.concatenate([[0], edges, [height * width]])
  counts = np.diff(edges)
  return counts[:-1] if counts[-1] == 0 and len(counts) > 1 else counts
