"""Boxes in a CSV file: a row for each, with the name of its image."""

import os
from typing import Dict, List, Optional, Sequence

from tools.record_sources import annotations, csv_rows, image_files
from tools.record_sources import report as report_lib
from utils import errors
from utils import label_map as label_map_lib

# How columns are called, the first in place of later ones.
_COLUMNS = {
  'filename': ('filename', 'file', 'image', 'imagename', 'imagepath', 'path'),
  'class': ('class', 'label', 'classname', 'category'),
  **{'xmin': ('xmin', 'x1'), 'ymin': ('ymin', 'y1')},
  **{'xmax': ('xmax', 'x2'), 'ymax': ('ymax', 'y2')},
  'width': ('width',),
  'height': ('height',),
}
_OPTIONAL = ('width', 'height')
_EDGES = ('xmin', 'ymin', 'xmax', 'ymax')


def column_names(columns: Sequence[str]) -> Optional[Dict[str, str]]:
  """Returns what each column is called; None if one is missing."""
  found = {
    key: name
    for key, names in _COLUMNS.items()
    for name in reversed(names)
    if name in columns
  }
  return None if set(_COLUMNS) - set(found) - set(_OPTIONAL) else found


def read_csv(
  path: str,
  image_dir: str,
  report: report_lib.Report,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Reads rows of `filename,width,height,class,xmin,ymin,xmax,ymax`.

  Width and height of the image may be missing, and columns may have any order.
  A row with nothing but a file name is an image without objects.

  Args:
    path: of the file.
    image_dir: folder of the images; one that is not where its name says is
      looked for by the last parts of the name.
    report: receives what cannot be used.
    label_map: class ids by name. Default: the names that occur, in alphabetical
      order, from 1.

  Raises:
    errors.DataError: the file cannot be read, or its first line has other
      names.
  """
  table = csv_rows.Table(path)
  columns = column_names(table.columns)
  if columns is None:
    raise errors.DataError(
      f'{path}: its first line has to name the columns filename, class, xmin, '
      f'ymin, xmax and ymax; it has {errors.shown(table.columns)}.'
    )
  csv_name = os.path.basename(path)
  boxes: Dict[str, List[annotations.Box]] = {}
  sizes: Dict[str, List[Optional[int]]] = {}
  names = set()
  for place, cells in table.rows(report):
    file_name = cells[columns['filename']].replace('\\', '/')
    name = label_map_lib.clean_name(cells[columns['class']])
    texts = [cells[columns[edge]] for edge in _EDGES]
    if file_name and not name and not any(texts):
      boxes.setdefault(file_name, [])
      continue
    if not file_name or not name:
      what = f'{place}: no {"class" if file_name else "filename"}'
      report.add('malformed_line', csv_name, what)
      continue
    # Its image is annotated, even if nothing else of the line can be used.
    found = boxes.setdefault(file_name, [])
    edges = table.numbers(texts)
    if None in edges:
      what = f'{place}: {", ".join(texts)[:60]!r}; needed are four numbers'
      report.add('malformed_box', csv_name, what)
      continue
    size = [annotations.side(cells.get(columns.get(key))) for key in _OPTIONAL]
    if sizes.setdefault(file_name, size) != size:
      what = f'{place}: image size {size}, but {sizes[file_name]} before'
      report.add('malformed_line', csv_name, what)
      continue
    names.add(name)
    found.append(annotations.Box(name, *edges))
  images = [
    image._replace(**dict(zip(_OPTIONAL, sizes.get(image.file_name, ()))))
    for image in image_files.annotated_images(boxes, image_dir, report)
  ]
  image_files.report_others(images, image_dir, report)
  return annotations.AnnotatedSet(
    images, label_map or dict(enumerate(sorted(names), 1))
  )
