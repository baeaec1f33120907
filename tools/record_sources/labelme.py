"""Annotations of LabelMe (https://github.com/wkentaro/labelme)."""

import json
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple

import tensorflow.compat.v1 as tf

from tools.record_sources import annotations, folders, image_files
from tools.record_sources import report as report_lib
from utils import errors, files, numerals
from utils import label_map as label_map_lib

_FLAG = '--annotations'
_NUM_POINTS = {'polygon': 3, 'rectangle': 2}


def read_labelme(
  path: str,
  image_dir: Optional[str],
  report: report_lib.Report,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Reads a json file for each image.

  Rectangles and polygons become boxes, polygons with their segmentation.

  Args:
    path: folder of the json files, or one of them.
    image_dir: folder of the images; an image that is not where its json says is
      looked for by the last parts of its path. None: paths are from the json.
    report: receives what cannot be used.
    label_map: class ids by name. Default: the names that occur, in alphabetical
      order, from 1.

  Raises:
    errors.DataError: the folder cannot be read, or holds no json.
  """
  folder, names = os.path.dirname(path) or '.', [os.path.basename(path)]
  if tf.io.gfile.isdir(path):
    folder, names = path, folders.list_folder(path, _FLAG)
  names = [name for name in names if name.lower().endswith('.json')]
  if not names:
    raise errors.DataError(f'{_FLAG}={path}: there is no json file in it.')
  boxes: Dict[str, List[annotations.Box]] = {}
  sizes = {}
  for name in names:
    try:
      content = _read_json(os.path.join(folder, name))
    except errors.DataError as error:
      report.add('unreadable_annotation', name, str(error))
      continue
    file_name = _text(content['imagePath']).replace('\\', '/')
    if file_name in boxes:
      report.add('duplicate_image', name, file_name)
      continue
    boxes[file_name] = list(_boxes(content['shapes'], name, report))
    sides = (content.get('imageWidth'), content.get('imageHeight'))
    sizes[file_name] = [annotations.side(side) for side in sides]
  return image_files.annotated_set(
    boxes, sizes, image_dir or folder, report, label_map
  )


def _read_json(path: str) -> Dict[str, Any]:
  text = files.read_unicode(path, 'annotation file')
  try:
    content = json.loads(text)
  except (ValueError, RecursionError) as error:
    reason = str(error).splitlines()[0]
    raise errors.DataError(f'no JSON: {reason}; is it cut off?') from error
  if not isinstance(content, dict) or not (
    isinstance(content.get('shapes'), list) and _text(content.get('imagePath'))
  ):
    raise errors.DataError(
      'not of LabelMe: it needs a list `shapes` and an `imagePath`'
    )
  return content


def _boxes(
  shapes: List[Any], json_name: str, report: report_lib.Report
) -> Iterator[annotations.Box]:
  for number, shape in enumerate(shapes, 1):
    shape = shape if isinstance(shape, dict) else {}
    kind = shape.get('shape_type') or 'polygon'
    name = label_map_lib.clean_name(_text(shape.get('label')))
    place = f'shape {number} ({name[:40]})'
    points = _points(shape.get('points'))
    if kind not in list(_NUM_POINTS):
      report.add('other_shape', json_name, f'{place}: {errors.shown(kind)}')
    elif not name or len(points) < _NUM_POINTS[kind]:
      what = f'{place}: needed are `label`, and `points` as [[x, y], ...]'
      report.add('malformed_box', json_name, what)
    else:
      box = image_files.box_of_points(name, points)
      yield box if kind == 'polygon' else box._replace(segmentation=None)


def _points(value: Any) -> List[Tuple[float, float]]:
  """Returns (x, y) for each point; [] if one is none."""
  points = [
    tuple(map(numerals.number, point)) if isinstance(point, list) else ()
    for point in (value if isinstance(value, list) else ())
  ]
  are_good = all(len(point) == 2 and None not in point for point in points)
  return points if are_good else []


def _text(value: Any) -> str:
  """Returns text as UTF-8 can hold it; '' for what is none."""
  if not isinstance(value, (str, int)) or isinstance(value, bool):
    return ''
  return str(value).encode('utf-8', 'replace').decode('utf-8')
