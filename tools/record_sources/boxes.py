"""Choice of the boxes that a record can hold."""

from typing import Container, List, Optional

from dataloader import image_reader
from tools.record_sources import annotations, frames
from tools.record_sources import report as report_lib

# COCO coordinates have two decimals: a box that ends at the border of its image
# can seem to reach this far beyond it, in pixels.
_ROUNDING = 0.02


def usable_boxes(
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  class_names: Container[str],
  report: report_lib.Report,
) -> Optional[List[annotations.Box]]:
  """Returns the boxes that can be trained on, clipped to the image.

  Args:
    image: the image and its boxes.
    encoded: the image as it is stored.
    class_names: the known classes.
    report: receives every box that is left out or changed.

  Returns:
    Boxes of known classes with an area above 0 inside the image; the object's
    area is set. None if the image is not the one that was annotated.
  """
  change = frames.change_of_frame(image, encoded, report)
  if change is None:
    return None
  width, height = encoded.width, encoded.height
  usable = []
  for box in image.boxes:
    what = described(box)
    if box.class_name not in class_names:
      report.add('unknown_class', image.file_name, what)
      continue
    if box.xmax <= box.xmin or box.ymax <= box.ymin:
      report.add('box_without_area', image.file_name, what)
      continue
    if max(box.xmax, box.ymax) <= 1 < min(width, height):
      report.add('box_of_shares', image.file_name, what)
      continue
    box = change(box)
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
    box_area = (clipped.xmax - clipped.xmin) * (clipped.ymax - clipped.ymin)
    area = box_area if box.area is None else min(box.area, box_area)
    if _excess(box, width, height) > _ROUNDING:
      report.add('box_clipped', image.file_name, size)
    usable.append(clipped._replace(area=area))
  return usable


def described(box: annotations.Box) -> str:
  """Returns the class and the edges of a box, for a report."""
  return '{} [{:g}, {:g}, {:g}, {:g}]'.format(
    box.class_name, box.xmin, box.ymin, box.xmax, box.ymax
  )


def _excess(box: annotations.Box, width: int, height: int) -> float:
  """Returns how far, in pixels, a box reaches beyond its image."""
  return max(-box.xmin, -box.ymin, box.xmax - width, box.ymax - height)
