"""Annotation files in COCO's format: checked, copied, made from records."""

import json
import logging
import os
from typing import Any, Dict, List, Optional

import tensorflow.compat.v1 as tf

from evaluation import record_annotations
from utils import errors, files

_log = logging.getLogger(__name__)

_FILE_NAME = 'eval_annotation_file.json'


def prepare(
  model_dir: str,
  val_json_file: Optional[str],
  file_pattern: str,
  eval_samples: Optional[int] = None,
  regenerate_source_id: bool = False,
) -> str:
  """Puts the annotation file of an evaluation into the model directory.

  Args:
    model_dir: where to write `eval_annotation_file.json`, over an earlier one.
    val_json_file: annotation file to copy. None or '' makes it from records.
    file_pattern: of the TFRecords, if they are needed; comma-separated paths
      and globs.
    eval_samples: number of records to read, in the order of evaluation; all
      of them if None or 0.
    regenerate_source_id: whether image ids are hashes of the images rather
      than the stored ones; as the input of the evaluation has it.

  Returns:
    Path of the annotation file.

  Raises:
    errors.DataError: `val_json_file` or a record cannot be used.
  """
  path = os.path.join(model_dir, _FILE_NAME)
  if val_json_file:
    content = load_annotations(val_json_file)
  else:
    content = record_annotations.read_annotations(
      file_pattern, eval_samples, regenerate_source_id
    )
    _log.info(
      'Annotation file %s: %d images with %d objects from %s.',
      path,
      len(content['images']),
      len(content['annotations']),
      file_pattern,
    )
  tf.io.gfile.makedirs(model_dir)
  files.write_json(path, content)
  return path


def image_ids(path: str) -> List[int]:
  """Returns the ids of all images of an annotation file."""
  return [image['id'] for image in load_annotations(path)['images']]


def load_annotations(path: str, require_masks: bool = False) -> Dict[str, Any]:
  """Reads and checks an annotation file.

  Args:
    path: COCO json, local or remote.
    require_masks: whether each annotation must have a segmentation.

  Returns:
    The content of the file. Where an annotation lacks them, `area` is width
    times height of the box and `iscrowd` is 0.

  Raises:
    errors.DataError: the file is absent, not JSON, or not as it must be.
  """
  content = _read_json(path)
  for key in ('images', 'annotations', 'categories'):
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, list):
      raise errors.DataError(
        "{}: not a COCO annotation file: it has no list '{}' at its top "
        'level.'.format(path, key)
      )
  known_images = _unique_ids(path, 'images', content['images'])
  for image in content['images']:
    _check_keys(path, 'images', image, ('height', 'width'))
  known_categories = _unique_ids(path, 'categories', content['categories'])
  for annotation in content['annotations']:
    _check_annotation(path, annotation, require_masks)
    for key, known, where in (
      ('image_id', known_images, 'images'),
      ('category_id', known_categories, 'categories'),
    ):
      if annotation[key] not in known:
        raise errors.DataError(
          "{}: annotation {} has the {} {}, which is not in '{}'.".format(
            path, annotation.get('id'), key, annotation[key], where
          )
        )
  return content


def _read_json(path: str) -> Any:
  try:
    with tf.io.gfile.GFile(path) as source:
      return json.loads(source.read())
  except (tf.errors.OpError, UnicodeDecodeError) as error:
    reason = (
      'there is no such file'
      if isinstance(error, tf.errors.NotFoundError)
      else str(error)
    )
    raise errors.DataError(
      '{}: the annotation file cannot be read: {}.'.format(path, reason)
    ) from error
  except json.JSONDecodeError as error:
    raise errors.DataError(
      '{}: the annotation file is not JSON: {}. Is it cut off?'.format(
        path, error
      )
    ) from error


def _unique_ids(path: str, owner: str, entries: List[Any]) -> Any:
  ids = set()
  for entry in entries:
    _check_keys(path, owner, entry, ('id',))
    if not _is_integer(entry['id']):
      raise errors.DataError(
        "{}: '{}' holds the id {!r}, which is not an integer.".format(
          path, owner, entry['id']
        )
      )
    if entry['id'] in ids:
      raise errors.DataError(
        "{}: '{}' holds the id {} more than once.".format(
          path, owner, entry['id']
        )
      )
    ids.add(entry['id'])
  return ids


def _check_annotation(path, annotation, require_masks) -> None:
  keys = ('image_id', 'category_id', 'bbox')
  if require_masks:
    keys += ('segmentation',)
  _check_keys(path, 'annotations', annotation, keys)
  for key in ('image_id', 'category_id'):
    if not _is_integer(annotation[key]):
      raise errors.DataError(
        '{}: annotation {} has the {} {!r}, which is not an integer.'.format(
          path, annotation.get('id'), key, annotation[key]
        )
      )
  bbox = annotation['bbox']
  if not (
    isinstance(bbox, list)
    and len(bbox) == 4
    and all(_is_number(value) for value in bbox)
  ):
    raise errors.DataError(
      '{}: annotation {} has the bbox {}; needed are the four numbers xmin, '
      'ymin, width and height.'.format(path, annotation.get('id'), bbox)
    )
  annotation.setdefault('area', bbox[2] * bbox[3])
  annotation.setdefault('iscrowd', 0)


def _check_keys(path, owner, entry, keys) -> None:
  for key in keys:
    if not isinstance(entry, dict) or key not in entry:
      raise errors.DataError(
        "{}: an entry of '{}' has no `{}`: {}".format(
          path, owner, key, json.dumps(entry)[:200]
        )
      )


def _is_integer(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
  return isinstance(value, (int, float)) and not isinstance(value, bool)
