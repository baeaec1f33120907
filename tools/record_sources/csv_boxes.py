"""Boxes in a CSV file: a row for each, with the name of its image."""

from typing import Dict, List, Optional, Sequence

from tools.record_sources import annotations, csv_rows, image_files
from tools.record_sources import report as report_lib
from utils import label_map as label_map_lib

# What is needed, then what may be missing; the first name in place of later
# ones.
_COLUMNS = (
  ('filename', 'file', 'image', 'imagename', 'imagepath', 'path'),
  ('class', 'label', 'classname', 'category'),
  *(('xmin', 'x1'), ('ymin', 'y1'), ('xmax', 'x2'), ('ymax', 'y2')),
)
_SIZE = ('width', 'height')


def needed_columns(columns: Sequence[str]) -> Optional[List[str]]:
  """Returns how file name, class, edges and size are called.

  None if one is missing; the size may be.
  """
  found = [
    next((name for name in names if name in columns), '') for names in _COLUMNS
  ]
  size = _SIZE if set(_SIZE) <= set(columns) else ()
  return [*found, *size] if all(found) else None


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
  columns = needed_columns(table.columns)
  if columns is None:
    raise table.lacking('filename, class, xmin, ymin, xmax and ymax')
  boxes: Dict[str, List[annotations.Box]] = {}
  sizes: Dict[str, List[Optional[int]]] = {}  # where they are known
  for line, cells in table.rows(columns, report):
    file_name = cells[0].strip().replace('\\', '/')
    name, is_empty = label_map_lib.clean_name(cells[1]), not any(cells[1:6])
    size = [annotations.side(cell) for cell in cells[6:]]
    problem = ''
    if not file_name or not (name or is_empty):
      problem = f'no {"class" if file_name else "file name"}'
    elif None not in size and sizes.setdefault(file_name, size) != size:
      problem = f'image size {size}, but {sizes[file_name]} before'
    if problem:
      report.add('malformed_line', table.name, f'line {line}: {problem}')
      continue
    # Its image is annotated, even if the box cannot be used.
    found = boxes.setdefault(file_name, [])
    edges = None if is_empty else table.edges(line, cells[2:6], report)
    if edges:
      found.append(annotations.Box(name, *edges))
  return image_files.annotated_set(boxes, sizes, image_dir, report, label_map)
