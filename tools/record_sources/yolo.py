"""Labels of YOLO (https://docs.ultralytics.com/datasets): a txt an image.

Each line is `class x y width height`, the centre and sides of a box, or
`class x1 y1 x2 y2 x3 y3 ...`, a polygon, in shares of the sides of the image.
"""

import os
import re
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from configs import yaml_loader
from tools.record_sources import (
  annotations,
  csv_rows,
  folders,
  image_files,
  subsets,
)
from tools.record_sources import report as report_lib
from utils import errors, files, numerals
from utils import label_map as label_map_lib

_FLAG = '--annotations'
_NAME_FILES = ('obj.names', 'classes.txt')
_SPLIT_KEYS = ('train', 'val', 'valid', 'test')
_NOTHING = ('', '~', 'null')
# What else lies among labels.
_NO_LABELS = re.compile(r'(classes|labels|train|val|valid|test|readme.*)\.txt')
_LABEL = re.compile(r'\s*\d+(\s+[\d.eE+-]+){4,}\s*')
# Files that are looked at, since some may be empty.
_MOST_LABELS = 20
_NUM_SHOWN = 60


class _TextLoader(yaml_loader.ParamsLoader):
  """Takes names such as `no` and `1`, and keys, as text."""

  yaml_implicit_resolvers: Dict[str, Any] = {}


class _Picture(NamedTuple):
  file_name: str
  path: str
  label_path: Optional[str]  # None: it has no label file


def read_yolo(
  path: str,
  image_dir: Optional[str],
  report: report_lib.Report,
  subset: str = subsets.ALL,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Reads a data set in one of the layouts of YOLO.

  Images and labels are where data.yaml says; or in images/SPLIT and
  labels/SPLIT, SPLIT/images and SPLIT/labels, obj_SPLIT_data, images and
  labels, or one folder. An image without a label file has no objects.

  Args:
    path: data.yaml, or the folder of the data set.
    image_dir: folder of all images; None: where the layout has them.
    report: receives what cannot be used.
    subset: name of the split, as of `subsets.choose`, if there are several.
    label_map: class ids by name. Default: those of YOLO, which start at 0, plus
      one.

  Raises:
    errors.DataError: names or images cannot be found, or no image has labels.
  """
  is_folder = tf.io.gfile.isdir(path)
  root = path if is_folder else os.path.dirname(path) or '.'
  content = _read_yaml(path)
  names = _class_names(content, root, path)
  if image_dir:
    sources = [image_dir]
  else:
    stated = _splits_of_yaml(content)
    splits = stated or _splits_of_folders(root)
    sources = sum(subsets.choose(splits, subset, path), [])
    if stated:
      sources = [_resolved(source, content, root) for source in sources]
  by_name: Dict[str, _Picture] = {}
  for source in sources:
    for picture in _pictures(source, root, image_dir):
      if by_name.setdefault(picture.file_name, picture) is not picture:
        report.add('duplicate_image', picture.file_name, f'in {source}')
  pictures = list(by_name.values())
  labels = [picture.label_path for picture in pictures if picture.label_path]
  if not labels:
    raise errors.DataError(
      f'{_FLAG}={path}: none of the {len(pictures)} images in '
      f'{", ".join(sources)} has a label file: labels/NAME.txt for the image '
      'images/NAME.jpg, or one beside it.'
    )
  if all(tf.io.gfile.isdir(source) for source in sources):
    _report_other_labels(labels, root, report)
  has_keypoints = 'kpt_shape' in content
  return annotations.AnnotatedSet(
    list(_images(pictures, root, names, has_keypoints, report)),
    label_map or {number + 1: name for number, name in names.items()},
  )


def is_yolo(folder: str, names: List[str]) -> bool:
  """Whether a folder, with these files, is or describes labels of YOLO."""
  if {*_NAME_FILES, 'data.yaml', 'obj.data'}.intersection(names):
    return True
  labels = [
    name
    for name in names
    if name.endswith('.txt') and not _NO_LABELS.fullmatch(name.lower())
  ]
  if not labels:
    return (
      any(name.endswith(('.yaml', '.yml')) for name in names)
      and 'images' in names
    )
  return any(
    _LABEL.fullmatch(next(csv_rows.lines(os.path.join(folder, name)), ''))
    for name in labels[:_MOST_LABELS]
  )


def _images(
  pictures: List[_Picture],
  root: str,
  names: Dict[int, str],
  has_keypoints: bool,
  report: report_lib.Report,
) -> Iterator[annotations.AnnotatedImage]:
  ids = image_files.source_ids([picture.file_name for picture in pictures])
  for file_name, path, label_path in pictures:
    boxes = []
    if label_path:
      label_name = os.path.relpath(label_path, root)
      try:
        text = files.read_unicode(label_path, 'label file')
      except errors.DataError as error:
        report.add('unreadable_annotation', label_name, str(error))
        continue
      boxes = list(_boxes(text, label_name, names, has_keypoints, report))
      boxes = image_files.without_repetitions(boxes, label_name, report)
    else:
      report.add('no_label_file', file_name)
    yield annotations.AnnotatedImage(
      ids[file_name], file_name, path, boxes, is_normalized=True
    )


def _boxes(
  text: str,
  label_name: str,
  names: Dict[int, str],
  has_keypoints: bool,
  report: report_lib.Report,
) -> Iterator[annotations.Box]:
  for number, line in enumerate(text.splitlines(), 1):
    fields = line.split()
    if not fields:
      continue
    class_id = numerals.integer(fields[0])
    values = [numerals.number(field) for field in fields[1:]]
    if has_keypoints:
      values = values[:4]
    place = f'line {number}'
    is_box, is_polygon = len(values) == 4, len(values) in range(6, 10**6, 2)
    if class_id is None or None in values or not (is_box or is_polygon):
      report.add(
        'malformed_line',
        label_name,
        f'{place}: {line[:_NUM_SHOWN]!r}; needed are numbers: class x y width '
        'height, or class and the points of a polygon',
      )
    elif class_id not in names:
      known = f'the names are of {min(names)} to {max(names)}'
      what = f'{place}: class {class_id}; {known}'
      report.add('unknown_class', label_name, what)
    elif is_box:
      x, y, width, height = values
      yield annotations.Box(
        names[class_id],
        xmin=x - width / 2,
        ymin=y - height / 2,
        xmax=x + width / 2,
        ymax=y + height / 2,
      )
    else:
      yield image_files.box_of_points(
        names[class_id], list(zip(values[::2], values[1::2]))
      )


def _pictures(
  source: str, root: str, image_dir: Optional[str]
) -> Iterator[_Picture]:
  """Yields the pictures of a folder, or of a file with a path a line."""
  if tf.io.gfile.isdir(source):
    names = folders.list_pictures(source, '--image_dir')
    paths = [os.path.join(source, name) for name in names]
  else:
    lines = files.read_unicode(source, 'list of images').splitlines()
    names = [line.strip() for line in lines if line.strip()]
    paths = [
      _first([os.path.dirname(source), root], [name, *files.path_endings(name)])
      for name in names
    ]
  labels_dir = _folder(os.path.join(root, 'labels')) or root
  for name, path in zip(names, paths):
    beside = os.path.splitext(path)[0] + '.txt'
    head, is_among_images, tail = beside.rpartition('/images/')
    candidates = [f'{head}/labels/{tail}'] if is_among_images else []
    if image_dir:
      within = os.path.splitext(name)[0] + '.txt'
      candidates = [os.path.join(labels_dir, within), *candidates]
    found = [c for c in (*candidates, beside) if tf.io.gfile.exists(c)]
    file_name = os.path.relpath(path, image_dir or root)
    yield _Picture(file_name, path, found[0] if found else None)


def _report_other_labels(
  labels: List[str], root: str, report: report_lib.Report
) -> None:
  for folder in sorted({os.path.dirname(path) for path in labels}):
    there = {
      os.path.join(folder, name)
      for name in folders.list_folder(folder, _FLAG)
      if name.endswith('.txt') and not _NO_LABELS.fullmatch(name.lower())
    }
    for path in sorted(there.difference(labels)):
      report.add('label_without_image', os.path.relpath(path, root))


def _read_yaml(path: str) -> Dict[str, Any]:
  """Returns what data.yaml says, as texts; {} if a folder has none.

  Raises:
    errors.DataError: the file, or several files, cannot be used.
  """
  if tf.io.gfile.isdir(path):
    found = [
      name
      for name in folders.list_folder(path, _FLAG)
      if name.endswith(('.yaml', '.yml'))
    ]
    if not found:
      return {}
    if len(found) > 1 and 'data.yaml' not in found:
      raise errors.DataError(
        f'{_FLAG}={path}: there are {", ".join(found)}. Give one of them.'
      )
    name = 'data.yaml' if 'data.yaml' in found else found[0]
    path = os.path.join(path, name)
  text = files.read_unicode(path, 'description of the data set')
  try:
    content = yaml_loader.load(text, _TextLoader)
  except errors.ConfigError as error:
    raise errors.DataError(f'{path}: {error}') from error
  if not isinstance(content, dict):
    raise errors.DataError(f'{path}: there is no `names:` with the classes.')
  return content


def _class_names(
  content: Dict[str, Any], root: str, path: str
) -> Dict[int, str]:
  """Returns names by YOLO's ids, from 0."""
  names = content.get('names')
  if names is None:
    for name in _NAME_FILES:
      for folder in (root, os.path.join(root, 'labels'), os.path.dirname(root)):
        file_name = os.path.join(folder, name)
        if names is None and tf.io.gfile.exists(file_name):
          path = file_name
          names = files.read_unicode(path, 'list of classes').splitlines()
  if isinstance(names, list):
    names = dict(enumerate(names))
  if not isinstance(names, dict):
    raise errors.DataError(
      f'{path}: the names of the classes are missing. Write them into '
      'data.yaml, as `names: [cat, dog]`, or into classes.txt, a line each.'
    )
  by_id = {}
  for key, name in names.items():
    number = numerals.integer(key)
    if number is None or number < 0 or not isinstance(name, str):
      raise errors.DataError(
        f'{path}: class {errors.shown(key)} is {errors.shown(name)}. `names` '
        'needs a text for each id, from 0.'
      )
    if label_map_lib.clean_name(name):
      by_id[number] = label_map_lib.clean_name(name)
  if len(set(by_id.values())) < max(len(by_id), 1):
    raise errors.DataError(
      f'{path}: a class name occurs more than once, or there is none.'
    )
  return by_id


def _splits_of_yaml(content: Dict[str, Any]) -> Dict[str, List[str]]:
  """Returns what is below the keys train, val and test."""
  splits = {}
  for key in _SPLIT_KEYS:
    value = content.get(key, '')
    values = value if isinstance(value, list) else [value]
    values = [v for v in values if isinstance(v, str) and v not in _NOTHING]
    if values:
      splits[key] = values
  return splits


def _resolved(stated: str, content: Dict[str, Any], root: str) -> str:
  """Returns the folder or list of images that data.yaml names.

  Raises:
    errors.DataError: it does not exist, nor do the last parts of its path.
  """
  base = content.get('path')
  base = os.path.join(root, base if isinstance(base, str) else '')
  # Of another machine; its last part alone may be that of every split.
  endings = files.path_endings(stated)[:-1] or [stated]
  candidates = [os.path.join(base, stated)]
  candidates += [os.path.join(root, ending) for ending in endings]
  for path in candidates:
    if tf.io.gfile.exists(path):
      return path
  raise errors.DataError(
    f'{root}: data.yaml names {errors.shown(stated)}, but there is no '
    f'{" nor ".join(candidates[:2])}. Mend it, or give --image_dir.'
  )


def _splits_of_folders(root: str) -> Dict[str, List[str]]:
  splits = {}
  entries = folders.list_folder(root, _FLAG)
  images = _folder(os.path.join(root, 'images'))
  for name in folders.list_folder(images, _FLAG) if images else ():
    if _folder(os.path.join(images, name)):
      splits[name] = [os.path.join(images, name)]
  for entry in entries:
    within = _folder(os.path.join(root, entry, 'images'))
    match = re.fullmatch('obj_(.+)_data', entry)
    if within:
      splits[entry] = [within]
    elif match and _folder(os.path.join(root, entry)):
      splits[match.group(1)] = [os.path.join(root, entry)]
  return splits or {subsets.ALL: [images or root]}


def _folder(path: str) -> Optional[str]:
  return path if tf.io.gfile.isdir(path) else None


def _first(directories: List[str], names: List[str]) -> str:
  """Returns the first path that exists, or else the first."""
  paths = [os.path.join(d, name) for name in names for d in directories]
  return next((path for path in paths if tf.io.gfile.exists(path)), paths[0])
