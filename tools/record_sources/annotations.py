"""Annotations of a set, whatever its format."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from utils import numerals


class Box(NamedTuple):
  """One annotated object; edges in pixels, origin at the top left corner.

  The box spans [xmin, xmax) x [ymin, ymax): its width is xmax - xmin.
  """

  class_name: str
  xmin: float
  ymin: float
  xmax: float
  ymax: float
  area: Optional[float] = None  # pixels^2 of the object; None: of the box
  is_crowd: bool = False
  segmentation: Any = None  # COCO's polygons or run lengths, if known


def described(box: Box) -> str:
  """Returns the class and the edges of a box, for a report."""
  return '{} [{:g}, {:g}, {:g}, {:g}]'.format(
    box.class_name, box.xmin, box.ymin, box.xmax, box.ymax
  )


def side(value: Any) -> Optional[int]:
  """Returns a side of an image in pixels, for a number or its text.

  None if it is not known, where some tools write 0.
  """
  number = numerals.number(value) or 0
  return int(number) if number >= 1 else None


class AnnotatedImage(NamedTuple):
  """One image file and its objects, as its annotation describes them."""

  source_id: int
  file_name: str  # as it is to stand in the COCO json
  path: str
  boxes: List[Box]
  width: Optional[int] = None  # that the boxes refer to; None: not known
  height: Optional[int] = None
  other_paths: Sequence[str] = ()  # where it may be if not at `path`
  class_name: Optional[str] = None  # of the whole image, where that has one
  is_normalized: bool = False  # boxes are shares of the sides of the image
  label_path: str = ''  # of the label map, where that is what there is
  class_names: Sequence[str] = ()  # of the pixels of that


class AnnotatedSet(NamedTuple):
  """The images of one split and the classes of the whole data set."""

  images: List[AnnotatedImage]
  label_map: Dict[int, str]  # class id, from 1, to class name
