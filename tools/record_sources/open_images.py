"""Boxes of Open Images (https://storage.googleapis.com/openimages)."""

import os
from typing import Dict, List, Optional, Sequence

from tools.record_sources import annotations, csv_rows, folders, image_files
from tools.record_sources import report as report_lib
from utils import errors
from utils import label_map as label_map_lib

_COLUMNS = {'imageid', 'labelname', 'xmin', 'ymin', 'xmax', 'ymax'}


def has_columns(columns: Sequence[str]) -> bool:
  """Whether a CSV file of these columns is of Open Images."""
  return set(columns) >= _COLUMNS


def read_open_images(
  path: str,
  image_dir: str,
  report: report_lib.Report,
  class_names: Optional[str] = None,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Reads the boxes of the pictures in a folder; those of groups are crowds.

  Args:
    path: such as oidv6-train-annotations-bbox.csv.
    image_dir: folder of the pictures, ImageID.jpg; the set is of these alone.
    report: receives what cannot be used.
    class_names: class-descriptions-boxable.csv, lines `/m/0abc,Name`. Without
      it, classes are called /m/0abc.
    label_map: class ids by name. Default: the names that occur, in alphabetical
      order, from 1.

  Raises:
    errors.DataError: a file cannot be read or has other columns, or none of its
      boxes is of a picture in the folder.
  """
  table = csv_rows.Table(path)
  if not has_columns(table.columns):
    raise errors.DataError(
      f'{path}: its first line has to name the columns ImageID, LabelName, '
      f'XMin, XMax, YMin and YMax; it has {errors.shown(table.columns)}.'
    )
  csv_name = os.path.basename(path)
  names = _read_names(class_names, report) if class_names else None
  pictures = {
    os.path.splitext(os.path.basename(name))[0]: name
    for name in folders.list_pictures(image_dir, '--image_dir')
  }
  boxes: Dict[str, List[annotations.Box]] = {}
  num_others = 0
  for place, cells in table.rows(report):
    picture, code = pictures.get(cells['imageid']), cells['labelname']
    if picture is None:
      num_others += 1
      continue
    found = boxes.setdefault(picture, [])
    texts = [cells[edge] for edge in ('xmin', 'ymin', 'xmax', 'ymax')]
    edges = table.numbers(texts)
    name = names.get(code) if names else label_map_lib.clean_name(code)
    if None in edges:
      what = f'{place}: {", ".join(texts)[:60]!r}; needed are four numbers'
      report.add('malformed_box', csv_name, what)
    elif not name:
      what = f'{place}: {errors.shown(code)} is not in {class_names}'
      report.add('unknown_class', csv_name, what)
    else:
      is_crowd = cells.get('isgroupof') == '1'
      found.append(annotations.Box(name, *edges, is_crowd=is_crowd))
  if not boxes:
    raise errors.DataError(
      f'{path}: none of its {num_others} boxes is of one of the '
      f'{len(pictures)} pictures in {image_dir}, which have to be called '
      f'ImageID.jpg. {report.summary()}'.rstrip()
    )
  if num_others:
    what = f'{num_others} boxes of images that are not in {image_dir}'
    report.add('other_images', csv_name, what)
  images = image_files.annotated_images(
    boxes, image_dir, report, is_normalized=True
  )
  image_files.report_others(images, image_dir, report)
  occurring = {box.class_name for image in images for box in image.boxes}
  return annotations.AnnotatedSet(
    images, label_map or dict(enumerate(sorted(occurring), 1))
  )


def _read_names(path: str, report: report_lib.Report) -> Dict[str, str]:
  """Returns names by code."""
  names = {}
  for number, line in enumerate(csv_rows.lines(path), 1):
    code, _, name = line.partition(',')
    name = label_map_lib.clean_name(name.strip().strip('"'))
    if code.strip() and name:
      names[code.strip()] = name
    elif line.strip():
      what = f'line {number}: {line[:60]!r}; needed is /m/0abc,Name'
      report.add('malformed_line', os.path.basename(path), what)
  return names
