"""Boxes of Open Images (https://storage.googleapis.com/openimages)."""

import os
from typing import Dict, List, Optional, Sequence

from tools.record_sources import annotations, csv_rows, folders, image_files
from tools.record_sources import report as report_lib
from utils import errors
from utils import label_map as label_map_lib

_COLUMNS = ('imageid', 'labelname', 'xmin', 'ymin', 'xmax', 'ymax')
_GROUP = 'isgroupof'
_NUM_SHOWN = 60


def has_columns(columns: Sequence[str]) -> bool:
  """Whether a CSV file of these columns is of Open Images."""
  return set(_COLUMNS) <= set(columns)


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
    raise table.lacking('ImageID, LabelName, XMin, XMax, YMin and YMax')
  # A name may hold a comma, with quotes or without.
  lines = csv_rows.lines(class_names) if class_names else ()
  named = {
    code.strip(): label_map_lib.clean_name(name.strip().strip('"'))
    for code, _, name in (line.partition(',') for line in lines)
  }
  pictures = {
    os.path.splitext(os.path.basename(name))[0]: name
    for name in folders.list_pictures(image_dir, '--image_dir')
  }
  boxes: Dict[str, List[annotations.Box]] = {}
  num_others = 0
  columns = [*_COLUMNS, *({_GROUP} & set(table.columns))]
  for line, cells in table.rows(columns, report):
    picture = pictures.get(cells[0])
    if picture is None:
      num_others += 1
      continue
    found = boxes.setdefault(picture, [])
    edges = table.edges(line, cells[2:6], report)
    code = label_map_lib.clean_name(cells[1])
    name = named.get(code) if class_names else code
    if not name:
      what = f'line {line}: class {code[:_NUM_SHOWN]!r} is not in {class_names}'
      report.add('unknown_class', table.name, what)
    elif edges:
      is_crowd = cells[6:] == ('1',)
      found.append(annotations.Box(name, *edges, is_crowd=is_crowd))
  if not boxes:
    raise errors.DataError(
      f'{path}: none of its {num_others} boxes is of one of the '
      f'{len(pictures)} pictures in {image_dir}, which have to be called '
      f'ImageID.jpg. {report.summary()}'.rstrip()
    )
  if num_others:
    what = f'{num_others} boxes of images that are not in {image_dir}'
    report.add('other_images', table.name, what)
  return image_files.annotated_set(
    boxes, {}, image_dir, report, label_map, is_normalized=True
  )
