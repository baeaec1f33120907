"""Source of annotations, recognised from what is there."""

import collections
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
_SPLIT_OF_CLASS = re.compile('.+_(train|val|trainval|test)')


class Found(NamedTuple):
  """Annotations of `source`, one of SOURCES, at `path`."""

  source: str
  path: str


class Wanted(NamedTuple):
  """What is to be read of a source.

  Attributes:
    subset: the split, as of `subsets.choose`.
    split_file: VOC only, as in `voc.read_voc`.
    one_based: VOC only, as in `voc.read_voc`.
    class_names: Open Images only, as in `open_images.read_open_images`.
    label_map: class ids by name; None: those of the source.
  """

  subset: str = subsets.ALL
  split_file: Optional[str] = None
  one_based: bool = False
  class_names: Optional[str] = None
  label_map: Optional[Dict[int, str]] = None


def read(
  found: Found,
  image_dir: Optional[str],
  report: report_lib.Report,
  wanted: Wanted,
) -> annotations.AnnotatedSet:
  """Reads what was recognised.

  Args:
    found: the annotations.
    image_dir: folder of the images; None: where the source has them.
    report: receives what cannot be used.
    wanted: what is to be read.

  Raises:
    errors.DataError: the source cannot be used.
  """
  source, path = found
  names = wanted.label_map
  if source == 'yolo':
    return yolo.read_yolo(path, image_dir, report, wanted.subset, names)
  if source == 'labelme':
    return labelme.read_labelme(path, image_dir, report, names)
  root = _root(path)
  image_dir = image_dir or _image_dir(root, path)
  if source == 'coco':
    annotated = coco.read_coco(path, image_dir, report, names)
    if min(annotated.label_map, default=1) or names:
      return annotated
    # Label Studio counts from 0, which is the background here.
    report.add('ids_from_zero', os.path.basename(path))
    above = {number + 1: name for number, name in annotated.label_map.items()}
    return annotated._replace(label_map=above)
  if source == 'csv':
    return csv_boxes.read_csv(path, image_dir, report, names)
  if source == 'open_images':
    return open_images.read_open_images(
      path, image_dir, report, wanted.class_names, names
    )
  return voc.read_voc(
    path,
    image_dir,
    report,
    wanted.split_file or _voc_split_file(root, wanted.subset),
    names,
    wanted.one_based,
  )


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
  fits = list(_fits(path))
  if source:
    fits = [found for found in fits if found.source == source]
    fits = fits or [Found(source, path)]
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
    f'{_FLAG}={path}: no annotations were recognised; it is {_holds(path)}. '
    f'Known are {known}.'
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
  for file_path in [os.path.join(path, name) for name in tables + texts]:
    # One that is damaged tells nothing.
    with contextlib.suppress(errors.DataError):
      source = _source_of_file(file_path)
      fits += [Found(source, file_path)] if source else []
  if any(found.source == 'labelme' for found in fits):
    yield Found('labelme', path)
  yield from (found for found in fits if found.source != 'labelme')


def _source_of_file(path: str) -> Optional[str]:
  ending = os.path.splitext(path)[1].lower()
  if ending in ('.yaml', '.yml'):
    return 'yolo'
  if ending == '.csv':
    columns = csv_rows.Table(path).columns
    if open_images.has_columns(columns):
      return 'open_images'
    return 'csv' if csv_boxes.needed_columns(columns) else None
  if ending != '.json':
    return None
  with tf.io.gfile.GFile(path, 'rb') as source:
    content = source.read(_HEAD)
  head = content.decode(json.detect_encoding(content), 'ignore')
  for source, keys in (
    ('coco', 'images|annotations'),
    ('labelme', 'shapes|imageData'),
  ):
    if re.search(rf'"({keys})"\s*:', head):
      return source
  return None


def _root(path: str) -> str:
  """Returns the folder of a data set, whose annotations are at `path`."""
  root = path if tf.io.gfile.isdir(path) else os.path.dirname(path)
  root = root.rstrip('/') or '.'
  is_below = os.path.basename(root).lower() == 'annotations'
  return (os.path.dirname(root) or '.') if is_below else root


def _image_dir(root: str, path: str) -> str:
  # instances_val2017.json is of val2017 or images/val2017.
  part = re.fullmatch(r'instances_(\w+)\.json', os.path.basename(path))
  of_part = [os.path.join('images', part[1]), part[1]] if part else []
  for name in (*of_part, 'JPEGImages', 'images'):
    if tf.io.gfile.isdir(os.path.join(root, name)):
      return os.path.join(root, name)
  return path if tf.io.gfile.isdir(path) else os.path.dirname(path) or '.'


def _voc_split_file(root: str, subset: str) -> Optional[str]:
  """Returns the list of a split in ImageSets/Main, if there are such."""
  folder = os.path.join(root, 'ImageSets', 'Main')
  if subset == subsets.ALL or not tf.io.gfile.isdir(folder):
    return None
  splits = {
    os.path.splitext(name)[0]: os.path.join(folder, name)
    for name in folders.list_folder(folder, _FLAG)
    if name.endswith('.txt')
  }
  splits = {
    name: path
    for name, path in splits.items()
    if not _SPLIT_OF_CLASS.fullmatch(name)
  }
  return subsets.choose(splits, subset, root)[0] if splits else None


def _holds(path: str) -> str:
  """Returns what is there, in short."""
  if not tf.io.gfile.isdir(path):
    return 'a file of another kind'
  counts = collections.Counter(
    'folder ' + name
    if tf.io.gfile.isdir(os.path.join(path, name))
    else (os.path.splitext(name)[1] or name)
    for name in folders.list_folder(path, _FLAG)
  )
  listed = [f'{count} {what}' for what, count in counts.most_common(10)]
  return 'a folder with ' + (', '.join(listed) or 'nothing in it')
