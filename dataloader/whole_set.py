"""Problems of a data set that no single image shows."""

import array
from typing import Any, Sequence

import numpy as np

from dataloader import image_reader
from utils import errors

_LEAST_MEDIAN_SIDE = 2.0
_JPEG_START = b'\xff\xd8'


def objection(num_images: int, longer_sides: Sequence[float]) -> str:
  """Returns why the boxes of a set cannot be meant as they are, or ''.

  Args:
    num_images: in the set.
    longer_sides: of all boxes, in pixels.
  """
  if num_images and not len(longer_sides):
    return (
      f'There is no box in {num_images} images: training would learn that all '
      'of them are background.'
    )
  side = np.median(longer_sides) if len(longer_sides) else np.inf
  if side >= _LEAST_MEDIAN_SIDE:
    return ''
  return (
    f'Half of the boxes are smaller than {_LEAST_MEDIAN_SIDE:g} pixels (the '
    f'median of their longer sides is {side:.2g}), which cannot be meant: are '
    'they in pixels of their image?'
  )


class Records:
  """Collects what is to be known of the records of a set.

  Attributes:
    num_turned: JPEG images that EXIF says are to be turned; training does not.
    turned_id: source id of the first one.
  """

  def __init__(self):
    self._num_images = 0
    self._longer_sides = array.array('f')
    self.num_turned = 0
    self.turned_id = ''

  def add(self, feature: Any) -> None:
    """Adds a record, by the features of its tf.Example."""
    self._num_images += 1

    def values(name):
      return feature['image/' + name].float_list.value

    (encoded,) = feature['image/encoded'].bytes_list.value
    try:
      opened = image_reader.open_header(encoded)
    except errors.DataError:
      return  # A problem of the record, if images are decoded.
    width, height = opened.size
    box = 'object/bbox/'
    for xmin, ymin, xmax, ymax in zip(
      *(values(box + side) for side in ('xmin', 'ymin', 'xmax', 'ymax'))
    ):
      self._longer_sides.append(
        max((xmax - xmin) * width, (ymax - ymin) * height)
      )
    if encoded.startswith(_JPEG_START) and image_reader.orientation(opened) > 1:
      if not self.num_turned:
        source_id = b''.join(feature['image/source_id'].bytes_list.value)
        self.turned_id = source_id.decode('utf-8', 'replace')
      self.num_turned += 1

  def objection(self) -> str:
    """Returns why the boxes cannot be meant as they are, or ''."""
    return objection(self._num_images, self._longer_sides)
