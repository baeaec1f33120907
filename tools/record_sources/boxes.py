"""Decides which annotated boxes a record can hold."""

import math
from typing import Container, List

from tools.record_sources import annotations
from tools.record_sources import report as report_lib

# COCO coordinates have two decimals: a box that ends at the border of its image
# can seem to reach this far beyond it, in pixels.
_ROUNDING = 0.02


def usable_boxes(
  image: annotations.AnnotatedImage,
  width: int,
  height: int,
  class_names: Container[str],
  report: report_lib.Report,
) -> List[annotations.Box]:
  """Returns the boxes that can be trained on, clipped to the image.

  Args:
    image: the image and its boxes.
    width: of the decoded image, in pixels.
    height: of the decoded image, in pixels.
    class_names: the known classes.
    report: receives every box that is left out or changed.

  Returns:
    Boxes of known classes with an area above 0 inside the image; the object's
    area is set.
  """
  usable = []
  for box in image.boxes:
    corners = (box.xmin, box.ymin, box.xmax, box.ymax)
    what = '{} [{:g}, {:g}, {:g}, {:g}]'.format(box.class_name, *corners)
    if box.class_name not in class_names:
      report.add('unknown_class', image.file_name, what)
      continue
    if not all(math.isfinite(corner) for corner in corners):
      report.add('malformed_box', image.file_name, what)
      continue
    if box.xmax <= box.xmin or box.ymax <= box.ymin:
      report.add('box_without_area', image.file_name, what)
      continue
    clipped = box._replace(
      xmin=max(box.xmin, 0.0),
      ymin=max(box.ymin, 0.0),
      xmax=min(box.xmax, float(width)),
      ymax=min(box.ymax, float(height)),
    )
    size = '{}; image {}x{}'.format(what, width, height)
    if clipped.xmax <= clipped.xmin or clipped.ymax <= clipped.ymin:
      report.add('box_outside_image', image.file_name, size)
      continue
    box_area = (clipped.xmax - clipped.xmin) * (clipped.ymax - clipped.ymin)
    area = box_area if box.area is None else min(box.area, box_area)
    if _excess(box, width, height) > _ROUNDING:
      report.add('box_clipped', image.file_name, size)
    usable.append(clipped._replace(area=area))
  return usable


def _excess(box: annotations.Box, width: int, height: int) -> float:
  """Returns how far, in pixels, a box reaches beyond its image."""
  return max(-box.xmin, -box.ymin, box.xmax - width, box.ymax - height)
