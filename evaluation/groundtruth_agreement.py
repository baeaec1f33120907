"""Agreement of the groundtruths that an evaluation is given."""

import collections
import logging
from typing import Any, Dict, List, Optional

import numpy as np
from pycocotools import mask as mask_lib

from evaluation import annotation_file, record_annotations
from utils import errors, label_map

_log = logging.getLogger(__name__)

_NUM_IMAGES = 64
# Converters leave out an odd box, and cut others at the edges.
_TOLERATED_SHARE = 0.1
_LEAST_OVERLAP = 0.5
_NUM_EXAMPLES = 3


def check(
  file_pattern: str,
  val_json_file: Optional[str],
  label_map_file: Optional[str],
  eval_samples: Optional[int] = None,
  regenerate_source_id: bool = False,
) -> None:
  """Compares the first records with the annotation file and the label map.

  A model learns the records' class ids and sizes, so that other ones in the
  annotation file give low scores without a reason. What may be meant is a
  warning: a difference in more than a tenth of the images, another class name.
  Crowds, and classes that the annotation file does not list, are left aside.

  Args:
    file_pattern: `eval.eval_file_pattern`.
    val_json_file: `eval.val_json_file` where it is used, else None.
    label_map_file: `eval.label_map_file`.
    eval_samples: number of records that are evaluated; all if None or 0.
    regenerate_source_id: whether image ids are hashes of the images.

  Raises:
    errors.DataError: a file cannot be used, the annotation file has boxes of
      the background, class 0, or it lacks an image.
    tf.errors.OpError: a record cannot be read or decoded.
  """
  if not (val_json_file or label_map_file):
    return
  records = record_annotations.read_first(
    file_pattern,
    min(eval_samples or _NUM_IMAGES, _NUM_IMAGES),
    regenerate_source_id,
  )
  source, content = "eval.eval_file_pattern '{}'".format(file_pattern), records
  if val_json_file:
    content = annotation_file.load_annotations(val_json_file)
    source = "eval.val_json_file '{}'".format(val_json_file)
    _refuse_boxes_of_background(source, content)
    _compare_images(source, content, file_pattern, records)
  if label_map_file:
    _compare_names(label_map_file, source, content)


def _refuse_boxes_of_background(source: str, content: Dict[str, Any]) -> None:
  count = sum(entry['category_id'] == 0 for entry in content['annotations'])
  if count:
    raise errors.DataError(
      '{}: {} boxes have the category_id 0, which is the background and is '
      'never detected. Number the categories from 1, as the records do.'.format(
        source, count
      )
    )


def _compare_images(
  source: str, content: Dict[str, Any], file_pattern: str, records: Any
) -> None:
  sizes = {image['id']: _size(image) for image in content['images']}
  unknown = [e['id'] for e in records['images'] if e['id'] not in sizes]
  if unknown:
    raise errors.DataError(
      "{}: {} of the first {} images of eval.eval_file_pattern '{}' are not "
      'among its {}, such as id {}. Give the annotations of these records, or '
      "'' to have them made from the records.".format(
        source,
        len(unknown),
        len(records['images']),
        file_pattern,
        len(sizes),
        unknown[0],
      )
    )
  known = {category['id'] for category in content['categories']}
  of_file, of_records = _objects(content), _objects(records)
  differing: Dict[str, List[str]] = collections.defaultdict(list)
  for image in records['images']:
    image_id = image['id']
    if _size(image) != sizes[image_id]:
      differing['sizes'].append(
        'image {} is {} there and {} in its record'.format(
          image_id, sizes[image_id], _size(image)
        )
      )
    there, here = of_file[image_id], of_records[image_id]
    here = {i: boxes for i, boxes in here.items() if i in known}
    if _counts(there) != _counts(here):
      differing['numbers of objects by class id'].append(
        'image {} has {} there and {} in its record'.format(
          image_id, _counts(there), _counts(of_records[image_id])
        )
      )
    elif _share_of_found(there, here) < _LEAST_OVERLAP:
      differing['boxes'].append('those of image {}'.format(image_id))
  for what, examples in differing.items():
    if len(examples) > _TOLERATED_SHARE * len(records['images']):
      _log.warning(
        "%s does not fit eval.eval_file_pattern '%s': %s differ in %d of the "
        'first %d images, for instance %s. Metrics will be too low; give the '
        'annotations that the records were made from.',
        source,
        file_pattern,
        what,
        len(examples),
        len(records['images']),
        examples[0],
      )


def _size(image: Dict[str, Any]) -> str:
  return '{} x {}'.format(image['width'], image['height'])


def _objects(content: Dict[str, Any]) -> Dict[int, Dict[int, List[Any]]]:
  """Boxes by image id and class id; crowds and what has no area left out."""
  objects: Dict[int, Dict[int, List[Any]]] = collections.defaultdict(
    lambda: collections.defaultdict(list)
  )
  for entry in content['annotations']:
    if not entry['iscrowd'] and min(entry['bbox'][2:]) > 0:
      objects[entry['image_id']][entry['category_id']].append(entry['bbox'])
  return objects


def _counts(objects: Dict[int, List[Any]]) -> Dict[int, int]:
  return {class_id: len(objects[class_id]) for class_id in sorted(objects)}


def _share_of_found(
  there: Dict[int, List[Any]], here: Dict[int, List[Any]]
) -> float:
  """Share of boxes that have a like one of their class on the other side."""
  found = [
    mask_lib.iou(
      np.array(boxes, float),
      np.array(here[class_id], float),
      [0] * len(here[class_id]),
    ).max(axis=1)
    > _LEAST_OVERLAP
    for class_id, boxes in there.items()
  ]
  return float(np.mean(np.concatenate(found))) if found else 1.0


def _compare_names(
  label_map_file: str, source: str, content: Dict[str, Any]
) -> None:
  names = label_map.read_label_map(label_map_file)
  used = {entry['category_id'] for entry in content['annotations']}
  differing = []
  for category in content['categories']:
    name, class_id = category.get('name'), category['id']
    if class_id not in names and class_id in used:
      differing.append('{} has objects there and no name'.format(class_id))
    elif name and class_id in names and _plain(name) != _plain(names[class_id]):
      differing.append(
        "{} is '{}', there '{}'".format(class_id, names[class_id], name)
      )
  if differing:
    _log.warning(
      "eval.label_map_file '%s' does not fit %s: %s. Give the label map of the "
      'same data set.',
      label_map_file,
      source,
      '; '.join(differing[:_NUM_EXAMPLES])
      + (
        '; and {} more'.format(len(differing) - _NUM_EXAMPLES)
        if len(differing) > _NUM_EXAMPLES
        else ''
      ),
    )


def _plain(name: Any) -> str:
  return str(name).replace('_', ' ').strip().casefold()
