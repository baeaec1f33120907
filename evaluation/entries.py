"""Detections or objects as records, named as COCO does."""

from typing import Any, Dict, Iterable, Iterator, Sequence

import numpy as np

from utils import mask_utils

KEYS = {'bbox': 'bbox', 'segm': 'segmentation'}
DTYPE = np.dtype(
  [
    ('image_id', np.int64),
    ('category_id', np.int64),
    ('area', np.float64),  # pixels^2
    ('score', np.float64),  # 0 of objects
    ('iscrowd', bool),
    ('bbox', np.float64, 4),  # xmin, ymin, width, height in pixels
    ('segmentation', object),  # compressed run lengths, or none
  ],
  align=True,
)
NOTHING = np.zeros([0], DTYPE)
ZERO = np.zeros([1], DTYPE)


def from_coco(
  rows: Iterable[Dict[str, Any]], images: Iterable[Dict[str, Any]], kind: str
) -> np.ndarray:
  """Reads annotations or results in COCO's format.

  Args:
    rows: each with an `area`. Those of other images are left out, and those
      without a box, or a mask if that is what is wanted.
    images: in COCO's format.
    kind: 'bbox' or 'segm'.

  Returns:
    Records [n] of `DTYPE`, with masks for 'segm' alone.
  """
  sizes = {entry['id']: entry for entry in images}

  def mask(row):
    size = sizes[row['image_id']]
    return mask_utils.to_rle(row['segmentation'], size['height'], size['width'])

  return np.array(
    [
      (
        row['image_id'],
        row['category_id'],
        row['area'],
        row.get('score', 0),
        row.get('iscrowd', 0),
        row.get('bbox', 4 * [0]),
        mask(row) if kind == 'segm' else None,
      )
      for row in rows
      if row['image_id'] in sizes and KEYS[kind] in row
    ],
    DTYPE,
  )


def to_rows(
  entries: np.ndarray, names: Sequence[str]
) -> Iterator[Dict[str, Any]]:
  """Yields records [n] as dicts of some names, in Python's own numbers."""
  columns = (entries[name].tolist() for name in names)
  return (dict(zip(names, row)) for row in zip(*columns))
