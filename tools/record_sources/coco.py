"""Reads COCO annotation files (https://cocodataset.org/#format-data)."""

import collections
import json
import os
from typing import Any, Dict, List, Optional

import tensorflow.compat.v1 as tf

from tools.record_sources import annotations
from tools.record_sources import report as report_lib
from utils import errors


def read_coco(
  json_file: str,
  image_dir: str,
  report: report_lib.Report,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Reads the boxes of a COCO instances file.

  Args:
    json_file: path of the annotation file.
    image_dir: folder that `file_name` of the images is relative to.
    report: receives what cannot be used.
    label_map: class ids to use in place of the file's category ids; the
      classes are matched by name.

  Returns:
    Every image once, with its boxes. Images without boxes are kept.

  Raises:
    errors.DataError: the file cannot be read or lacks what it must have.
  """
  content = _load(json_file)
  names = _category_names(content['categories'], json_file)
  if label_map is None:
    label_map = names
    if min(label_map, default=1) < 1:
      raise errors.DataError(
        '{}: category id {} is not allowed: ids start at 1, since 0 is the '
        'background. Give new ids with --label_map.'.format(
          json_file, min(label_map)
        )
      )

  records = {}
  for record in content['images']:
    image_id = _image_id(record, json_file)
    if image_id in records:
      report.add(
        'duplicate_image', record['file_name'], 'image id {}'.format(image_id)
      )
    else:
      records[image_id] = record

  boxes = collections.defaultdict(list)
  for annotation in content['annotations']:
    record = records.get(annotation.get('image_id'))
    if record is None:
      report.add(
        'unknown_image_id',
        os.path.basename(json_file),
        'annotation {} of image id {}'.format(
          annotation.get('id'), annotation.get('image_id')
        ),
      )
      continue
    box = _box(annotation, names, record['file_name'], report)
    if box is not None:
      boxes[record['id']].append(box)

  images = [
    annotations.AnnotatedImage(
      source_id=image_id,
      file_name=record['file_name'],
      path=os.path.join(image_dir, record['file_name']),
      boxes=boxes[record['id']],
      width=record.get('width'),
      height=record.get('height'),
    )
    for image_id, record in records.items()
  ]
  return annotations.AnnotatedSet(images, label_map)


def _load(json_file: str) -> Dict[str, List[Dict[str, Any]]]:
  try:
    with tf.io.gfile.GFile(json_file) as source:
      content = json.load(source)
  except (tf.errors.OpError, UnicodeDecodeError) as error:
    raise errors.DataError(
      '{}: the annotation file cannot be read: {}'.format(json_file, error)
    ) from error
  except json.JSONDecodeError as error:
    raise errors.DataError(
      '{}: not a JSON file: {}'.format(json_file, error)
    ) from error
  for key in ('images', 'annotations', 'categories'):
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, list) or not all(
      isinstance(entry, dict) for entry in value
    ):
      raise errors.DataError(
        "{}: not a COCO instances file: it has no list '{}' at its top "
        'level.'.format(json_file, key)
      )
  return content


def _category_names(categories, json_file: str) -> Dict[int, str]:
  try:
    names = {int(entry['id']): str(entry['name']) for entry in categories}
  except (KeyError, TypeError, ValueError) as error:
    raise errors.DataError(
      '{}: each entry of categories needs a number `id` and a `name` '
      '({!r}).'.format(json_file, error)
    ) from error
  if len(set(names.values())) < len(categories):
    raise errors.DataError(
      '{}: a category id or name occurs more than once.'.format(json_file)
    )
  return names


def _image_id(record: Dict[str, Any], json_file: str) -> int:
  image_id = record.get('id')
  if not isinstance(record.get('file_name'), str):
    raise errors.DataError(
      '{}: image {!r} has no `file_name`.'.format(json_file, image_id)
    )
  if not isinstance(image_id, int):
    raise errors.DataError(
      '{}: image id {!r} of {} is not an integer, which evaluation '
      'needs.'.format(json_file, image_id, record['file_name'])
    )
  return image_id


def _box(annotation, names, file_name, report) -> Optional[annotations.Box]:
  """Returns the box of one annotation, or reports why it has none."""
  category = annotation.get('category_id')
  if category not in names:
    report.add('unknown_class', file_name, 'category id {}'.format(category))
    return None
  area = annotation.get('area')
  try:
    xmin, ymin, width, height = (float(v) for v in annotation['bbox'])
    area = None if area is None else float(area)
  except (KeyError, TypeError, ValueError):
    report.add(
      'malformed_box',
      file_name,
      'annotation {}: bbox {}, area {}'.format(
        annotation.get('id'), annotation.get('bbox'), area
      ),
    )
    return None
  return annotations.Box(
    class_name=names[category],
    xmin=xmin,
    ymin=ymin,
    xmax=xmin + width,
    ymax=ymin + height,
    area=area,
    is_crowd=bool(annotation.get('iscrowd', 0)),
  )
