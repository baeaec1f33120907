"""Masks as JSON."""

from typing import Any, Dict, List, Sequence

from utils import mask_utils

# Of outlines, in pixels: enough to make a slope of stairs of single pixels.
_TOLERANCE = 0.75


def run_lengths(
  masks: Sequence[mask_utils.MaskWindow], height: int, width: int
) -> List[Dict[str, Any]]:
  """COCO's compressed run lengths, exact: `size` and `counts`, a string."""
  return [
    {'size': [height, width], 'counts': rle['counts'].decode('ascii')}
    for rle in mask_utils.encode_windows(masks, height, width)
  ]


def polygons(mask: mask_utils.MaskWindow) -> List[List[int]]:
  """Outlines of the parts, within a pixel: x0, y0, x1, y1, ... each."""
  return [
    [int(edge) for edge in polygon]
    for polygon in mask_utils.window_polygons(mask, _TOLERANCE)
  ]
