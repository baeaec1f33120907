"""Labels of YOLO (https://docs.ultralytics.com/datasets): a txt an image.

Each line is `class x y width height`, the centre and sides of a box, or
`class x1 y1 x2 y2 x3 y3 ...`, a polygon, in shares of the sides of the image.
"""

import os
import re
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

import tensorflow.compat.v1 as tf

from configs import yaml_loader
from tools.record_sources import annotations, folders, image_files, subsets
from tools.record_sources import report as report_lib
from utils import errors, files, numerals
from utils import label_map as label_map_lib

_FLAG = '--annotations'
_YAML_ENDINGS = ('.yaml', '.yml')
_NAME_FILES = ('obj.names', 'classes.txt')
_NOTHING = ('', '~', 'null', [])
# Where a split has its images; its labels are in `labels`.
_LAYOUTS = ('images/{}', '{}/images', 'obj_{}_data')
# What else lies among labels.
_NO_LABELS = re.compile(r'(classes|labels|train|val|valid|test|readme.*)\.txt')
_NUM_SHOWN = 60


class _TextLoader(yaml_loader.ParamsLoader):
  """Takes names such as `no` and `1`, and keys, as text."""

  yaml_implicit_resolvers: Dict[str, Any] = {}


def is_yolo(names: List[str]) -> bool:
  """Whether a folder with these files describes labels of YOLO."""
  return any(
    name in _NAME_FILES or name.endswith(_YAML_ENDINGS) for name in names
  )


def read_yolo(
  path: str,
  image_dir: Optional[str],
  report: report_lib.Report,
  split: str = subsets.ALL,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Reads a data set in one of the layouts of YOLO.

  Images and labels are where data.yaml says; or in images/SPLIT and
  labels/SPLIT, SPLIT/images and SPLIT/labels, obj_SPLIT_data, images and
  labels, or one folder. An image without a label file has no objects.

  Args:
    path: data.yaml, or the folder of the data set.
    image_dir: folder of the images, in which splits may have folders of their
      own; None: where the layout has them.
    report: receives what cannot be used.
    split: that is wanted, as of `subsets.choose`, if there are several.
    label_map: class ids by name. Default: those of YOLO, which start at 0, plus
      one.

  Raises:
    errors.DataError: names or images cannot be found, or no image has labels.
  """
  root = path if tf.io.gfile.isdir(path) else os.path.dirname(path) or '.'
  content = _read_yaml(path)
  names = _class_names(content, root, path)
  sources = [image_dir] if image_dir else []
  # Folders below --image_dir are splits as those of the data set are.
  top, described = (image_dir, {}) if image_dir else (root, content)
  splits = _splits(described, top, ('{}',) if image_dir else ())
  if not image_dir or len(splits) > 1:
    stated = sum(subsets.choose(splits, split, image_dir or path, report), [])
    if not image_dir or split != subsets.ALL:
      sources = [_resolved(source, described, top) for source in stated]
  pictures: Dict[str, Tuple[str, Optional[str]]] = {}
  for source in sources:
    for name, *found in _pictures(source, root, image_dir, split):
      if name in pictures:
        report.add('duplicate_image', name, f'in {source}')
      pictures.setdefault(name, found)
  labels = {label for _, label in pictures.values()} - {None}
  if not labels:
    raise errors.DataError(
      f'{_FLAG}={path}: none of the {len(pictures)} images in '
      f'{", ".join(sources)} has a label file: labels/NAME.txt for the image '
      'images/NAME.jpg, or one beside it.'
    )
  if all(tf.io.gfile.isdir(source) for source in sources):
    _report_other_labels(labels, root, report)
  ids = image_files.image_ids(list(pictures))
  images, used = [], set()
  for name, (picture, label) in pictures.items():
    boxes: List[annotations.Box] = []
    if label is None:
      report.add('no_label_file', name)
    else:
      place = os.path.relpath(label, root)
      try:
        has_keypoints = 'kpt_shape' in content
        boxes = _objects(label, place, names, has_keypoints, used, report)
      except errors.DataError as error:
        report.add('unreadable_annotation', place, str(error))
        continue
    images.append(
      annotations.AnnotatedImage(
        ids[name], name, picture, boxes, is_normalized=True
      )
    )
  if names and min(used, default=0) == 1 and max(used) == max(names) + 1:
    raise errors.DataError(
      f'{_FLAG}={path}: the labels have classes 1 to {max(used):g}, never 0, '
      f'but YOLO counts from 0, and has names for 0 to {max(names)}. Take one '
      'from each class, or put a name for 0 before the others.'
    )
  own = {number + 1: name for number, name in names.items()}
  return annotations.AnnotatedSet(images, label_map or own)


def _objects(
  path: str,
  place: str,
  names: Dict[int, str],
  has_keypoints: bool,
  used: Set[float],
  report: report_lib.Report,
) -> List[annotations.Box]:
  """Returns the objects of a label file, which the report calls `place`.

  Class ids, known or not, are added to `used`.
  """
  boxes = []
  lines = files.read_unicode(path, 'label file').splitlines()
  for number, line in enumerate(lines, 1):
    class_id, *values = map(numerals.number, line.split() or [''])
    values = values[:4] if has_keypoints else values
    is_polygon = len(values) > 5 and not len(values) % 2
    if not line.strip():
      continue
    if None in (class_id, *values) or not (len(values) == 4 or is_polygon):
      what = f'line {number}: {line[:_NUM_SHOWN]!r}; needed are numbers: class '
      what += 'x y width height, or class and the points of a polygon'
      report.add('malformed_line', place, what)
      continue
    used.add(class_id)
    if class_id not in names:
      what = f'line {number}: class {class_id:g}; there are {len(names)} names'
      report.add('unknown_class', place, what)
    elif is_polygon:
      points = list(zip(values[::2], values[1::2]))
      boxes.append(image_files.box_of_points(names[class_id], points))
    else:
      x, y, width, height = values
      edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
      boxes.append(annotations.Box(names[class_id], *edges))
  return image_files.without_repetitions(boxes, place, report)


def _pictures(
  source: str, root: str, image_dir: Optional[str], split: str
) -> Iterator[Tuple[str, str, Optional[str]]]:
  """Yields name, path and label file, None if it has none, of each picture.

  `source` is a folder, or a file with a path a line.
  """
  if tf.io.gfile.isdir(source):
    names = folders.list_pictures(source, '--image_dir')
    paths = [os.path.join(source, name) for name in names]
  else:
    lines = files.read_unicode(source, 'list of images').splitlines()
    names = [line.strip() for line in lines if line.strip()]
    places = image_files.places(names, os.path.dirname(source))
    paths = [_first(places[name]) or places[name][0] for name in names]
  for path in paths:
    shown = os.path.relpath(path, image_dir or root)
    beside = os.path.splitext(path)[0] + '.txt'
    candidates = ['/labels/'.join(beside.rsplit('/images/', 1)), beside]
    for layout in (*_LAYOUTS, 'images', '') if image_dir else ():
      folder = layout.replace('images', 'labels').format(split)
      within = os.path.splitext(shown)[0] + '.txt'
      candidates.append(os.path.join(root, folder, within))
    yield shown, path, _first(candidates)


def _first(paths: List[str]) -> Optional[str]:
  """Returns the first that exists."""
  return next((path for path in paths if tf.io.gfile.exists(path)), None)


def _report_other_labels(
  labels: Set[str], root: str, report: report_lib.Report
) -> None:
  for folder in sorted({os.path.dirname(path) for path in labels}):
    for name in folders.list_folder(folder, _FLAG):
      path = os.path.join(folder, name)
      is_label = name.endswith('.txt') and not _NO_LABELS.match(name.lower())
      if is_label and path not in labels:
        report.add('label_without_image', os.path.relpath(path, root))


def _read_yaml(path: str) -> Dict[str, Any]:
  """Returns what data.yaml, or another yaml, says; {} if there is none.

  Raises:
    errors.DataError: the file cannot be read.
  """
  if tf.io.gfile.isdir(path):
    names = folders.list_folder(path, _FLAG)
    found = [name for name in names if name.endswith(_YAML_ENDINGS)]
    if not found:
      return {}
    path = os.path.join(path, max(found, key='data.yaml'.__eq__))
  text = files.read_unicode(path, 'description of the data set')
  try:
    content = yaml_loader.load(text, _TextLoader)
  except errors.ConfigError as error:
    raise errors.DataError(f'{path}: {error}') from error
  return content if isinstance(content, dict) else {}


def _class_names(
  content: Dict[str, Any], root: str, path: str
) -> Dict[int, str]:
  """Returns names by YOLO's ids, from 0."""
  names = content.get('names')
  in_folders = (root, os.path.join(root, 'labels'), os.path.dirname(root))
  found = _first([os.path.join(f, n) for f in in_folders for n in _NAME_FILES])
  if names is None and found:
    path = found
    names = files.read_unicode(path, 'list of classes').splitlines()
  if isinstance(names, list):
    names = dict(enumerate(names))
  if not isinstance(names, dict):
    raise errors.DataError(
      f'{path}: the names of the classes are missing. Write them into '
      'data.yaml, as `names: [cat, dog]`, or into classes.txt, a line each.'
    )
  by_id: Dict[int, str] = {}
  for key, name in names.items():
    number = numerals.integer(key)
    cleaned = label_map_lib.clean_name(name) if isinstance(name, str) else None
    if number is None or number < 0 or cleaned in (None, *by_id.values()):
      raise errors.DataError(
        f'{path}: class {errors.shown(key)} is {errors.shown(name)}. `names` '
        'needs another text for each id, from 0.'
      )
    if cleaned:
      by_id[number] = cleaned
  return by_id


def _splits(
  content: Dict[str, Any], root: str, more_layouts: Tuple[str, ...]
) -> Dict[str, List[str]]:
  """Returns where each split has its images, by data.yaml or by the folders."""
  stated = {key: content.get(key, '') for key in subsets.USUAL}
  splits = {
    key: list(map(str, value if isinstance(value, list) else [value]))
    for key, value in stated.items()
    if value not in _NOTHING
  }
  in_folders = {
    key: [layout.format(key)]
    for layout in (*more_layouts, *_LAYOUTS)
    for key in subsets.USUAL
    if tf.io.gfile.isdir(os.path.join(root, layout.format(key)))
  }
  has_images = tf.io.gfile.isdir(os.path.join(root, 'images'))
  whole = {subsets.ALL: ['images' if has_images else '.']}
  return splits or in_folders or whole


def _resolved(stated: str, content: Dict[str, Any], root: str) -> str:
  """Returns the folder or list of images that data.yaml names.

  Raises:
    errors.DataError: it does not exist, nor do the last parts of its path.
  """
  # Of another machine; its last part alone may be that of every split.
  endings = files.path_endings(stated)[:-1] or [stated]
  parts = [os.path.join(str(content.get('path', '')), stated), *endings]
  path = _first([os.path.normpath(os.path.join(root, part)) for part in parts])
  if path is None:
    raise errors.DataError(
      f'{root}: data.yaml names {errors.shown(stated)}, but there is no '
      f'{" nor ".join(map(errors.shown, parts[:2]))} in that folder. Mend it, '
      'or give --image_dir.'
    )
  return path
