"""Choice of the boxes that a record can hold."""

import itertools
from typing import Container, List, Optional

from dataloader import image_reader
from tools.record_sources import annotations, frames
from tools.record_sources import report as report_lib
from utils import errors, mask_utils

# Shares of a box that lies half outside its image reach this far beyond it.
_BEYOND = 0.5
# COCO coordinates have two decimals: a box that ends at the border of its image
# can seem to reach this far beyond it, in pixels.
_ROUNDING = 0.02


def usable_boxes(
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  class_names: Container[str],
  report: report_lib.Report,
  include_masks: bool = False,
) -> Optional[List[annotations.Box]]:
  """Returns the boxes that can be trained on, clipped to the image.

  Args:
    image: the image and its boxes.
    encoded: the image as it is stored.
    class_names: the known classes.
    report: receives every box that is left out or changed.
    include_masks: whether objects without a mask are left out.

  Returns:
    Boxes of known classes with an area above 0 inside the image; the object's
    area is set, and with masks `segmentation` is of run lengths of the image as
    it is stored. None if the image is not the one that was annotated.
  """
  if image.is_normalized:
    image = _in_pixels(image, encoded, report)
  frame = frames.change_of_frame(image, encoded, report)
  if frame is None:
    return None
  width, height = encoded.width, encoded.height
  usable = []
  for box in image.boxes:
    what = annotations.described(box)
    if box.class_name not in class_names:
      report.add('unknown_class', image.file_name, what)
      continue
    if box.xmax <= box.xmin or box.ymax <= box.ymin:
      report.add('box_without_area', image.file_name, what)
      continue
    if max(box.xmax, box.ymax) <= 1 < min(width, height):
      report.add('box_of_shares', image.file_name, what)
      continue
    box = frame.box(box)
    clipped = box._replace(
      xmin=max(box.xmin, 0.0),
      ymin=max(box.ymin, 0.0),
      xmax=min(box.xmax, float(width)),
      ymax=min(box.ymax, float(height)),
    )
    size = f'{what}; image {width}x{height}'
    if clipped.xmax <= clipped.xmin or clipped.ymax <= clipped.ymin:
      report.add('box_outside_image', image.file_name, size)
      continue
    if include_masks:
      clipped = _with_mask(clipped, frame, image.file_name, report)
      if clipped is None:
        continue
    box_area = (clipped.xmax - clipped.xmin) * (clipped.ymax - clipped.ymin)
    area = box_area if clipped.area is None else min(clipped.area, box_area)
    if _excess(box, width, height) > _ROUNDING:
      report.add('box_clipped', image.file_name, size)
    usable.append(clipped._replace(area=area))
  return usable


def _in_pixels(
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  report: report_lib.Report,
) -> annotations.AnnotatedImage:
  """Returns the image with its boxes in pixels of the upright image."""
  sides = (encoded.width, encoded.height)
  boxes = []
  for box in image.boxes:
    edges = (box.xmin, box.ymin, box.xmax, box.ymax)
    if min(edges) < -_BEYOND or max(edges) > 1 + _BEYOND:
      what = annotations.described(box)
      report.add('box_of_pixels', image.file_name, what)
      continue
    xmin, ymin, xmax, ymax = (v * side for v, side in zip(edges, sides * 2))
    polygons = box.segmentation and [
      [v * side for v, side in zip(polygon, itertools.cycle(sides))]
      for polygon in box.segmentation
    ]
    boxes.append(
      annotations.Box(
        box.class_name,
        *(xmin, ymin, xmax, ymax),
        is_crowd=box.is_crowd,
        segmentation=polygons,
      )
    )
  return image._replace(boxes=boxes)


def _with_mask(
  box: annotations.Box,
  frame: frames.Frame,
  file_name: str,
  report: report_lib.Report,
) -> Optional[annotations.Box]:
  """Returns the box with its mask in the frame; None if it has none."""
  if not box.segmentation:
    report.add('no_mask', file_name, annotations.described(box))
    return None
  try:
    mask = frame.mask(box.segmentation)
  except errors.DataError as error:
    report.add(
      'malformed_mask', file_name, f'{annotations.described(box)}: {error}'
    )
    return None
  area = float(mask.sum())
  if not area:
    report.add('empty_mask', file_name, annotations.described(box))
    return None
  return box._replace(
    segmentation=mask_utils.encode_as_text(mask),
    area=area if box.area is None else box.area,
  )


def _excess(box: annotations.Box, width: int, height: int) -> float:
  """Returns how far, in pixels, a box reaches beyond its image."""
  return max(-box.xmin, -box.ymin, box.xmax - width, box.ymax - height)
