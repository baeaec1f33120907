"""Instance masks, from COCO's segmentations to PNGs."""

import io
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as mask_lib

from evaluation import annotation_file
from utils import errors, mask_utils


def rasterize(segmentation: Any, height: int, width: int) -> np.ndarray:
  """Returns the pixels of a segmentation, uint8 [height, width] of 0 and 1.

  Args:
    segmentation: polygons in pixels, or run lengths, compressed or not.
    height, width: of the image that it refers to.

  Raises:
    errors.DataError: it is none of these, or of another size.
  """
  if not annotation_file.is_segmentation(segmentation, height, width):
    raise errors.DataError(
      f'neither polygons nor run lengths of {width}x{height} pixels'
    )
  return mask_lib.decode(mask_utils.to_rle(segmentation, height, width))


def to_png(mask: np.ndarray) -> bytes:
  """Returns a mask [height, width] as a PNG of 0 and 1."""
  png = io.BytesIO()
  Image.fromarray(mask).save(png, 'PNG', compress_level=3)
  return png.getvalue()
