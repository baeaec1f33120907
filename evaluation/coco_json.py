"""Annotation files in COCO's format, read into typed entries.

Numbers may be text, as some tools write them; null, and an area that is text,
is as missing.
"""

import json
import reprlib
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from utils import errors, files, label_map, numerals

_MAX_SIDE = 2**20

Entry = Dict[str, Any]


class Image(NamedTuple):
  """An image; `entry` is what the file has of it."""

  id: int
  file_name: str  # '' if the file has none
  width: Optional[int]  # in pixels, at least 1
  height: Optional[int]
  entry: Entry


class Annotation(NamedTuple):
  """An object; `entry` is what the file has of it."""

  image_id: int
  category_id: int
  bbox: Tuple[float, ...]  # xmin, ymin, width, height in pixels
  area: Optional[float]  # in pixels
  is_crowd: bool
  entry: Entry


class Category(NamedTuple):
  """A class; `entry` is what the file has of it."""

  id: int
  name: str  # '' if the file has none
  entry: Entry


class Content(NamedTuple):
  """Everything in an annotation file; `entry` is the whole file."""

  images: List[Image]
  annotations: List[Annotation]
  categories: List[Category]
  entry: Entry


def read(
  path: str, on_bad_annotation: Optional[Callable[[str], None]] = None
) -> Content:
  """Reads an annotation file.

  Args:
    path: COCO json, local or remote; UTF-8, UTF-16 or UTF-32.
    on_bad_annotation: gets the reason for each annotation that cannot be used
      and is left out; by default it is an error.

  Raises:
    errors.DataError: the file cannot be read, or an entry cannot be used.
  """
  content = _read_json(path)
  for key in ('images', 'annotations', 'categories'):
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, list):
      raise errors.DataError(
        f"{path}: not a COCO annotation file: it has no list '{key}' at its "
        'top level.'
      )
  annotations = []
  try:
    images = [_image(entry) for entry in content['images']]
    categories = [_category(entry) for entry in content['categories']]
    check_unique('categories', [category.id for category in categories])
    for entry in content['annotations']:
      try:
        annotations.append(_annotation(entry))
      except errors.DataError as error:
        if on_bad_annotation is None:
          raise
        on_bad_annotation(str(error))
  except errors.DataError as error:
    raise errors.DataError(f'{path}: {error}') from error
  return Content(images, annotations, categories, content)


def check_unique(owner: str, ids: List[int]) -> None:
  """Raises DataError if an id occurs again; `owner` is the key of the list."""
  seen = set()
  for number in ids:
    if number in seen:
      raise errors.DataError(f"'{owner}' holds the id {number} more than once.")
    seen.add(number)


def _read_json(path: str) -> Any:
  text = files.read_unicode(path, 'annotation file')
  try:
    return json.loads(text)
  except RecursionError as error:
    raise errors.DataError(
      f'{path}: not a COCO annotation file: it is nested too deeply.'
    ) from error
  except json.JSONDecodeError as error:
    raise errors.DataError(
      f'{path}: the annotation file is not JSON: {error}. Is it cut off?'
    ) from error


def _image(entry: Any) -> Image:
  sides = []
  image_id = _integer(entry, 'images', 'id')
  for key in ('width', 'height'):
    side = numerals.integer(entry.get(key) or 0)
    if side is None or side > _MAX_SIDE:
      raise errors.DataError(
        f'image {image_id} has the {key} {reprlib.repr(entry[key])}, which is '
        'no number of pixels.'
      )
    sides.append(side if side > 0 else None)
  file_name = _text(entry.get('file_name'), 'images', 'file_name')
  return Image(image_id, file_name, sides[0], sides[1], entry)


def _category(entry: Any) -> Category:
  category_id = _integer(entry, 'categories', 'id')
  name = _text(entry.get('name'), 'categories', 'name')
  return Category(category_id, label_map.clean_name(name), entry)


def _annotation(entry: Any) -> Annotation:
  image_id = _integer(entry, 'annotations', 'image_id')
  category_id = _integer(entry, 'annotations', 'category_id')
  bbox = _required(entry, 'annotations', 'bbox')
  corners = bbox if isinstance(bbox, list) else []
  corners = tuple(numerals.number(value) for value in corners)
  if len(corners) != 4 or None in corners:
    raise errors.DataError(
      'annotation {} has the bbox {}; needed are the four numbers xmin, ymin, '
      'width and height.'.format(*_shown(entry, 'bbox'))
    )
  area = entry.get('area')
  if isinstance(area, str):
    area = None  # Of tools that know nothing of it.
  if area is not None:
    area = numerals.number(area)
    if area is None or area < 0:
      raise errors.DataError(
        'annotation {} has the area {}; needed is the number of pixels.'.format(
          *_shown(entry, 'area')
        )
      )
  is_crowd = entry.get('iscrowd')
  if not isinstance(is_crowd, bool):
    is_crowd = 0 if is_crowd is None else numerals.integer(is_crowd)
    if is_crowd not in (0, 1):
      raise errors.DataError(
        'annotation {} has the iscrowd {}, which is neither 0 nor 1.'.format(
          *_shown(entry, 'iscrowd')
        )
      )
  return Annotation(image_id, category_id, corners, area, bool(is_crowd), entry)


def _shown(annotation: Entry, key: str) -> Tuple[str, str]:
  return reprlib.repr(annotation.get('id')), reprlib.repr(annotation[key])


def _required(entry: Any, owner: str, key: str) -> Any:
  if not isinstance(entry, dict) or entry.get(key) is None:
    raise errors.DataError(
      f"an entry of '{owner}' has no `{key}`: {reprlib.repr(entry)}"
    )
  return entry[key]


def _integer(entry: Any, owner: str, key: str) -> int:
  value = _required(entry, owner, key)
  number = numerals.integer(value)
  if number is None:
    raise errors.DataError(
      f"an entry of '{owner}' has the {key} {reprlib.repr(value)}, which is "
      f'not an integer: {reprlib.repr(entry)}'
    )
  return number


def _text(value: Any, owner: str, key: str) -> str:
  """Returns text as UTF-8 can hold it; '' for None."""
  if value is None:
    return ''
  if isinstance(value, (str, int)) and not isinstance(value, bool):
    return str(value).encode('utf-8', 'replace').decode('utf-8')
  raise errors.DataError(
    f"an entry of '{owner}' has the {key} {reprlib.repr(value)}, which is not "
    'text.'
  )
