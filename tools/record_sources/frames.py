"""Frames of annotated boxes and of stored pixels."""

import itertools
from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
from PIL import Image
from pycocotools import mask as mask_lib

from dataloader import image_reader
from evaluation import annotation_file
from tools.record_sources import annotations
from tools.record_sources import report as report_lib
from utils import errors, mask_utils

_Size = Tuple[int, int]


class Frame(NamedTuple):
  """Takes boxes and masks of the annotation to the upright image.

  Attributes:
    annotated: (width, height) in pixels that the annotation refers to; (1, 1)
      if it is in shares of them.
    actual: that of the image; as annotated, before it is turned.
    orientation: EXIF's, by which to turn.
    encoded: the upright image.
  """

  annotated: _Size
  actual: _Size
  orientation: int
  encoded: image_reader.Encoded

  def box(self, box: annotations.Box) -> annotations.Box:
    if self.actual != self.annotated:
      x_scale, y_scale = (a / b for a, b in zip(self.actual, self.annotated))
      box = box._replace(
        xmin=box.xmin * x_scale,
        ymin=box.ymin * y_scale,
        xmax=box.xmax * x_scale,
        ymax=box.ymax * y_scale,
        area=box.area and box.area * x_scale * y_scale,
      )
    return box if self.orientation == 1 else _turned(box, self.encoded)

  def mask(self, segmentation: Any) -> np.ndarray:
    """Returns uint8 [height, width]; DataError if it is no mask."""
    annotated = self.annotated
    if annotated == (1, 1):
      annotated = self.actual
      segmentation = [
        [v * side for v, side in zip(polygon, itertools.cycle(annotated))]
        for polygon in segmentation
      ]
    width, height = annotated
    if not annotation_file.is_segmentation(segmentation, height, width):
      raise errors.DataError(
        f'neither polygons nor run lengths of {width}x{height} pixels'
      )
    mask = mask_lib.decode(mask_utils.to_rle(segmentation, height, width))
    if self.actual != annotated:
      mask = np.asarray(
        Image.fromarray(mask).resize(self.actual, Image.NEAREST)
      )
    return image_reader.turn_upright(mask, self.orientation)


def change_of_frame(
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  report: report_lib.Report,
) -> Optional[Frame]:
  """Returns what takes the annotation to the upright image.

  Boxes of an image that was made larger or smaller are scaled. Those of an
  image that EXIF says is turned by a quarter refer to the stored pixels if
  the annotated size says so; otherwise, boxes refer to the upright image, as
  nearly all labelling tools show it.

  Args:
    image: with the annotated size.
    encoded: with the true one.
    report: receives what is found.

  Returns:
    None if the annotated size contradicts the image.
  """
  upright = (encoded.width, encoded.height)
  stored = upright[::-1] if encoded.orientation >= 5 else upright
  annotated = (image.width or upright[0], image.height or upright[1])
  is_upright = annotated == upright or (
    annotated != stored and _is_same_shape(annotated, upright)
  )
  actual = upright if is_upright else stored
  sizes = 'annotated {}x{}, is {}x{}'.format(*annotated, *actual)
  if not _is_same_shape(annotated, actual):
    report.add('size_contradicts', image.file_name, sizes)
    return None
  if annotated != actual:
    report.add('size_differs', image.file_name, sizes)
  if encoded.orientation != 1:
    report.add(
      'turned_upright',
      image.file_name,
      'EXIF orientation {}; boxes are of the {} image'.format(
        encoded.orientation, 'upright' if is_upright else 'stored'
      ),
    )
  orientation = 1 if is_upright else encoded.orientation
  if image.is_normalized:
    annotated = (1, 1)
  return Frame(annotated, actual, orientation, encoded)


def _is_same_shape(size: _Size, other: _Size) -> bool:
  """Whether one is the other times a factor, both rounded to pixels."""
  difference = abs(size[0] * other[1] - size[1] * other[0])
  return difference <= max(sum(size), sum(other))


def _turned(
  box: annotations.Box, encoded: image_reader.Encoded
) -> annotations.Box:
  """Turns a box with an image that EXIF says is turned by a quarter."""
  xs, ys = (box.ymin, box.ymax), (box.xmin, box.xmax)
  if encoded.orientation in (6, 7):
    xs = (encoded.width - xs[1], encoded.width - xs[0])
  if encoded.orientation in (7, 8):
    ys = (encoded.height - ys[1], encoded.height - ys[0])
  return box._replace(xmin=xs[0], ymin=ys[0], xmax=xs[1], ymax=ys[1])
