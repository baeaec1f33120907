"""Image files as annotations name them."""

import collections
import os
import re
from typing import Dict, List, Optional, Sequence, Tuple

from tools.record_sources import annotations, folders
from tools.record_sources import report as report_lib
from utils import files

_MAX_ID = 2**63 - 1


def places(file_names: Sequence[str], image_dir: str) -> Dict[str, List[str]]:
  """Returns paths at which to look for each image, likely ones first.

  Args:
    file_names: paths as annotations have them, of any system.
    image_dir: folder that they are relative to; an image that is not there is
      looked for by the last parts of its path.
  """
  # An ending that several images share would stand for the wrong one.
  endings = collections.Counter(
    ending for name in set(file_names) for ending in files.path_endings(name)
  )
  return {
    name: [
      os.path.join(image_dir, path)
      for path in (name, *files.path_endings(name))
      if path is name or endings[path] == 1
    ]
    for name in file_names
  }


def annotated_set(
  boxes: Dict[str, List[annotations.Box]],
  sizes: Dict[str, Sequence[Optional[int]]],
  image_dir: str,
  report: report_lib.Report,
  label_map: Optional[Dict[int, str]],
  is_normalized: bool = False,
) -> annotations.AnnotatedSet:
  """Returns a set of images that are known by their file names.

  Args:
    boxes: of each file name; what occurs again is left out.
    sizes: width and height of those that are known.
    image_dir: folder of the images.
    report: receives what is left out, and pictures that are no images.
    label_map: class ids by name. Default: the names that occur, in alphabetical
      order, from 1.
    is_normalized: as in `annotations.AnnotatedImage`.
  """
  ids, found = image_ids(list(boxes)), places(list(boxes), image_dir)
  images = [
    annotations.AnnotatedImage(
      *(ids[name], name, found[name][0]),
      without_repetitions(boxes[name], name, report),
      *(sizes.get(name) or (None, None)),
      found[name][1:],
      is_normalized=is_normalized,
    )
    for name in boxes
  ]
  known = {os.path.normpath(p) for paths in found.values() for p in paths}
  for name in folders.list_pictures(image_dir, '--image_dir'):
    if os.path.normpath(os.path.join(image_dir, name)) not in known:
      report.add('not_annotated', name)
  names = {box.class_name for image in images for box in image.boxes}
  return annotations.AnnotatedSet(
    images, label_map or dict(enumerate(sorted(names), 1))
  )


def box_of_points(
  class_name: str, points: Sequence[Tuple[float, float]]
) -> annotations.Box:
  """Returns the box around a polygon, with the polygon, from (x, y)."""
  xs, ys = zip(*points)
  return annotations.Box(
    class_name,
    *(min(xs), min(ys), max(xs), max(ys)),
    segmentation=[[value for point in points for value in point]],
  )


def without_repetitions(
  boxes: List[annotations.Box], file_name: str, report: report_lib.Report
) -> List[annotations.Box]:
  """Leaves out objects that occur again with the same box and class."""
  known: Dict[str, annotations.Box] = {}
  for box in boxes:
    if known.setdefault(repr(box), box) is not box:
      report.add('duplicate_box', file_name, annotations.described(box))
  return list(known.values())


def image_ids(names: Sequence[str]) -> Dict[str, int]:
  """Returns a number for each file name, the one in the name if possible.

  The last number of the name (img2_007 is 7) if that tells all names apart,
  else all of its digits (2008_000007 is 2008000007), else a running number.
  """
  digits = [re.findall('[0-9]+', name) for name in names]
  if all(digits):
    for numbers in (
      [int(groups[-1]) for groups in digits],
      [int(''.join(groups)) for groups in digits],
    ):
      if len(set(numbers)) == len(names) and max(numbers, default=0) <= _MAX_ID:
        return dict(zip(names, numbers))
  return {name: number for number, name in enumerate(names, 1)}
