"""Source of annotations, recognised from what is there."""

import contextlib
import json
import os
import re
from typing import Dict, Iterator, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from tools.record_sources import (
  annotations,
  coco,
  csv_boxes,
  csv_rows,
  folders,
  labelme,
  open_images,
  subsets,
  voc,
  yolo,
)
from tools.record_sources import report as report_lib
from utils import errors

_FLAG = '--annotations'
# What marks each source, for a message.
SOURCES = {
  'coco': 'a json with `images` and `annotations`',
  'voc': 'a folder of xml files',
  'yolo': 'data.yaml, or a folder with it, with classes.txt or obj.names',
  'csv': 'a csv whose first line names filename, class, xmin, ymin, xmax, ymax',
  'labelme': 'a folder of json files with `shapes`',
  'open_images': 'a csv whose first line names ImageID, LabelName and edges',
}
_BY_ENDING = {'.csv': 'csv', '.json': 'coco'}
_HEAD = 2**20
# Of many json files the first ones tell what they are.
_MOST_JSON = 20


class Found(NamedTuple):
  """Annotations of `source`, one of SOURCES, at `path`."""

  source: str
  path: str


def read(
  found: Found,
  image_dir: Optional[str],
  report: report_lib.Report,
  split: str = subsets.ALL,
  label_map: Optional[Dict[int, str]] = None,
  split_file: Optional[str] = None,
  one_based: bool = False,
  class_names: Optional[str] = None,
) -> annotations.AnnotatedSet:
  """Reads what was recognised.

  Args:
    found: the annotations.
    image_dir: folder of the images; None: where the source has them.
    report: receives what cannot be used.
    split: that is wanted, as of `subsets.choose`, of a source that has some.
    label_map: class ids by name; None: those of the source.
    split_file: VOC only, as in `voc.read_voc`.
    one_based: VOC only, as in `voc.read_voc`.
    class_names: Open Images only, as in `open_images.read_open_images`.

  Raises:
    errors.DataError: the source cannot be used.
  """
  source, path = found
  if source == 'yolo':
    return yolo.read_yolo(path, image_dir, report, split, label_map)
  if source == 'labelme':
    return labelme.read_labelme(path, image_dir, report, label_map)
  folder = path if tf.io.gfile.isdir(path) else os.path.dirname(path) or '.'
  root = folder.rstrip('/')
  if os.path.basename(root).lower() == 'annotations':
    root = os.path.dirname(root) or '.'
  image_dir = image_dir or _image_dir(root, path) or folder
  if source == 'csv':
    return csv_boxes.read_csv(path, image_dir, report, label_map)
  if source == 'open_images':
    return open_images.read_open_images(
      path, image_dir, report, class_names, label_map
    )
  if source == 'voc':
    split_file = split_file or _voc_split_file(root, split, report)
    return voc.read_voc(
      path, image_dir, report, split_file, label_map, one_based
    )
  annotated = coco.read_coco(path, image_dir, report, label_map)
  if min(annotated.label_map, default=1) or label_map:
    return annotated
  # Label Studio counts from 0, which is the background here.
  report.add('ids_from_zero', os.path.basename(path))
  above = {number + 1: name for number, name in annotated.label_map.items()}
  return annotated._replace(label_map=above)


def recognise(path: str, source: Optional[str] = None) -> Found:
  """Returns the annotations that a file or a folder holds.

  Args:
    path: of a file; or of a folder, or of one with a folder `annotations`.
    source: one of SOURCES, where several would fit.

  Raises:
    errors.DataError: there are none, or several.
  """
  if not tf.io.gfile.exists(path):
    raise errors.DataError(f'{_FLAG}={path} does not exist.')
  fits = [fit for fit in _fits(path) if source in (None, fit.source)]
  if source and not fits:
    return Found(source, path)
  if len(fits) == 1:
    return fits[0]
  if fits:
    shown = ', '.join(f'{fit.source} ({fit.path})' for fit in fits[:_MOST_JSON])
    raise errors.DataError(
      f'{_FLAG}={path} fits more than one source: {shown}. Choose by --source, '
      f'or by the path in {_FLAG}.'
    )
  known = '; '.join(f'{name}: {what}' for name, what in SOURCES.items())
  raise errors.DataError(
    f'{_FLAG}={path}: no annotations were recognised. Known are {known}.'
  )


def _fits(path: str) -> Iterator[Found]:
  if not tf.io.gfile.isdir(path):
    ending = os.path.splitext(path)[1].lower()
    # The reader of what its ending promises tells what it lacks.
    source = _source_of_file(path) or _BY_ENDING.get(ending)
    if source:
      yield Found(source, path)
    return
  names = folders.list_folder(path, _FLAG)
  within = [n for n in names if n.lower() == 'annotations']
  if within and tf.io.gfile.isdir(os.path.join(path, within[0])):
    yield from _fits(os.path.join(path, within[0]))
  if any(name.lower().endswith('.xml') for name in names):
    yield Found('voc', path)
  if yolo.is_yolo(names):
    yield Found('yolo', path)
  tables = [n for n in names if n.lower().endswith('.csv')]
  texts = [n for n in names if n.lower().endswith('.json')][:_MOST_JSON]
  fits = []
  for name in tables + texts:
    file_path = os.path.join(path, name)
    # One that is damaged tells nothing.
    with contextlib.suppress(errors.DataError):
      source = _source_of_file(file_path)
      # The files of LabelMe are one set.
      fits += [Found(source, path if source == 'labelme' else file_path)]
  yield from dict.fromkeys(found for found in fits if found.source)


def _source_of_file(path: str) -> Optional[str]:
  ending = os.path.splitext(path)[1].lower()
  if ending in ('.yaml', '.yml'):
    return 'yolo'
  if ending == '.csv':
    columns = csv_rows.Table(path).columns
    if open_images.has_columns(columns):
      return 'open_images'
    return 'csv' if csv_boxes.needed_columns(columns) else None
  if ending == '.json':
    with tf.io.gfile.GFile(path, 'rb') as source:
      content = source.read(_HEAD)
    head = content.decode(json.detect_encoding(content), 'ignore')
    if re.search(r'"(images|annotations)"\s*:', head):
      return 'coco'
    if re.search(r'"(shapes|imageData)"\s*:', head):
      return 'labelme'
  return None


def _image_dir(root: str, path: str) -> Optional[str]:
  # instances_val2017.json is of val2017 or images/val2017.
  part = re.fullmatch(r'instances_(\w+)\.json', os.path.basename(path))
  of_part = [os.path.join('images', part[1]), part[1]] if part else []
  places = [os.path.join(root, n) for n in (*of_part, 'JPEGImages', 'images')]
  return next((place for place in places if tf.io.gfile.isdir(place)), None)


def _voc_split_file(
  root: str, split: str, report: report_lib.Report
) -> Optional[str]:
  """Returns the list of a split in ImageSets/Main, if there are such."""
  folder = os.path.join(root, 'ImageSets', 'Main')
  if not tf.io.gfile.isdir(folder):
    return None
  # With an underscore it is of one class, such as dog_train.
  splits = {
    name[: -len('.txt')]: os.path.join(folder, name)
    for name in folders.list_folder(folder, _FLAG)
    if name.endswith('.txt') and '_' not in name
  }
  if not splits:
    return None
  chosen = subsets.choose(splits, split, root, report)
  # Images that no list names are of the whole, too.
  return None if split == subsets.ALL else chosen[0]
