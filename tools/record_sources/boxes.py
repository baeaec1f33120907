"""Choice of the boxes that a record can hold."""

from typing import Container, List, Optional

from dataloader import image_reader
from tools.record_sources import annotations, frames
from tools.record_sources import report as report_lib
from utils import errors, mask_utils

# Of a side; a box that lies half outside its image ends there.
_MOST_SHARE = 1.5
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
  frame = frames.change_of_frame(image, encoded, report)
  if frame is None:
    return None
  width, height = encoded.width, encoded.height
  usable = []
  for annotated in image.boxes:
    objection = _objection(annotated, image, class_names, min(width, height))
    if objection:
      what = annotations.described(annotated)
      report.add(objection, image.file_name, what)
      continue
    box = frame.box(annotated)
    excess = max(-box.xmin, -box.ymin, box.xmax - width, box.ymax - height)
    what = ''
    if excess > 0:
      what = f'{annotations.described(annotated)}; image {width}x{height}'
      box = box._replace(
        xmin=max(box.xmin, 0.0),
        ymin=max(box.ymin, 0.0),
        xmax=min(box.xmax, float(width)),
        ymax=min(box.ymax, float(height)),
      )
    if box.xmax <= box.xmin or box.ymax <= box.ymin:
      report.add('box_outside_image', image.file_name, what)
      continue
    if include_masks:
      box = _with_mask(box, frame, image.file_name, report)
      if box is None:
        continue
    if excess > _ROUNDING:
      report.add('box_clipped', image.file_name, what)
    box_area = (box.xmax - box.xmin) * (box.ymax - box.ymin)
    if box.area is None or box.area > box_area:
      box = box._replace(area=box_area)
    usable.append(box)
  return usable


def _objection(
  box: annotations.Box,
  image: annotations.AnnotatedImage,
  class_names: Container[str],
  shorter_side: int,
) -> str:
  """Returns the finding for which a box is left out as annotated, or ''."""
  if box.class_name not in class_names:
    return 'unknown_class'
  if box.xmax <= box.xmin or box.ymax <= box.ymin:
    return 'box_without_area'
  if image.is_normalized:
    return 'box_of_pixels' if max(box.xmax, box.ymax) > _MOST_SHARE else ''
  is_share = max(box.xmax, box.ymax) <= 1 < shorter_side
  return 'box_of_shares' if is_share else ''


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
