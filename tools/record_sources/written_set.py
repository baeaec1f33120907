"""A converted set seen as a whole: what no single image can tell."""

import collections
import os
from typing import Any, Dict

import numpy as np

from tools.record_sources import report as report_lib
from utils import errors

_LEAST_MEDIAN_SIDE = 2.0


def check(coco: Dict[str, Any], report: report_lib.Report) -> None:
  """Raises DataError if a set cannot have been meant as it is.

  Args:
    coco: what is to be written, as a COCO dict.
    report: what was left out.
  """
  if not coco['images']:
    hint = '--image_dir is where the names of image files start.'
    raise errors.DataError(
      'None of the images can be used. {} {}'.format(
        report.summary(), hint if report.count('missing_image') else ''
      ).rstrip()
    )
  read = {_ending(image['file_name']) for image in coco['images']}
  unknown = collections.Counter(
    _ending(name) for name in report.files('unknown_format')
  )
  for ending, count in unknown.items():
    if ending not in read and count > 1:
      raise errors.DataError(
        "'{}': none of the {} files of this format can be read. Convert them "
        'to JPEG or PNG first. {}'.format(ending, count, report.summary())
      )
  if not coco['annotations']:
    raise errors.DataError(
      'No box is left in {} images: training would learn that all of them are '
      'background. {}'.format(len(coco['images']), report.summary()).rstrip()
    )
  side = np.median([max(box['bbox'][2:]) for box in coco['annotations']])
  if side < _LEAST_MEDIAN_SIDE:
    raise errors.DataError(
      'Half of the boxes are smaller than {:g} pixels (the median of their '
      'longer sides is {:.2g}), which cannot be meant: boxes have to be in '
      'pixels of the image.'.format(_LEAST_MEDIAN_SIDE, side)
    )


def _ending(file_name: str) -> str:
  return os.path.splitext(file_name)[1].lower()
