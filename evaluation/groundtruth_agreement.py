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
# Of images; converters leave out an odd box, and cut others at the edges.
TOLERATED_SHARE = 0.1
_LEAST_OVERLAP = 0.5
_NUM_EXAMPLES = 3

_Boxes = Dict[int, List[Any]]  # by class id


def check(
  file_pattern: str,
  val_json_file: Optional[str],
  label_map_file: Optional[str],
  eval_samples: Optional[int] = None,
  regenerate_source_id: bool = False,
  require_masks: bool = False,
) -> None:
  """Compares the first records with the annotation file and the label map.

  A model learns the class ids and sizes of records, so that other ones in the
  annotation file give low scores without a reason. What may be meant is a
  warning: a difference in more than a tenth of the images, another class name.
  Crowds, and classes that the annotation file does not list, are left aside.

  Args:
    file_pattern: `eval.eval_file_pattern`.
    val_json_file: `eval.val_json_file` where it is used, else None.
    label_map_file: `eval.label_map_file`.
    eval_samples: number of records that are evaluated; all if None or 0.
    regenerate_source_id: whether image ids are hashes of the images.
    require_masks: whether each object of the annotation file needs a mask.

  Raises:
    errors.DataError: a file cannot be used, the annotation file has boxes of
      the background, class 0, or it lacks an image.
    tf.errors.OpError: a record cannot be read or decoded.
  """
  if not (val_json_file or label_map_file):
    return
  count = min(eval_samples or _NUM_IMAGES, _NUM_IMAGES)
  records = record_annotations.read_first(
    file_pattern, count, regenerate_source_id
  )
  source, content = f"eval.eval_file_pattern '{file_pattern}'", records
  if val_json_file:
    content = annotation_file.load_annotations(val_json_file, require_masks)
    source = f"eval.val_json_file '{val_json_file}'"
    _check_ids(source, content, records)
    for what, examples in differences(content, records).items():
      if len(examples) > TOLERATED_SHARE * len(records['images']):
        _log.warning(
          '%s does not fit eval.eval_file_pattern: %s differ in %d of the '
          'first %d images, for instance %s. Metrics will be too low; give '
          'the annotations that the records were made from.',
          source,
          what,
          len(examples),
          len(records['images']),
          next(iter(examples.values())),
        )
  if label_map_file:
    _compare_names(label_map_file, source, content)


def _check_ids(source: str, content: Any, records: Any) -> None:
  count = sum(entry['category_id'] == 0 for entry in content['annotations'])
  if count:
    raise errors.DataError(
      f'{source}: {count} boxes have the category_id 0, which is the '
      'background and is never detected. Number categories from 1, as the '
      'records do.'
    )
  known = {image['id'] for image in content['images']}
  absent = [e['id'] for e in records['images'] if e['id'] not in known]
  if absent:
    raise errors.DataError(
      '{}: {} of the first {} images of eval.eval_file_pattern are not among '
      "its {}, such as id {}. Give the annotations of these records, or '' to "
      'have them made.'.format(
        source, len(absent), len(records['images']), len(known), absent[0]
      )
    )


def differences(
  content: Dict[str, Any], records: Dict[str, Any]
) -> Dict[str, Dict[int, str]]:
  """Compares sizes, numbers of objects by class, and boxes of images.

  Args:
    content: of an annotation file; it has all images of `records`.
    records: COCO's images and annotations of records.

  Returns:
    By what differs, of each image id where it does, both sides in words.
  """
  known = {category['id'] for category in content['categories']}
  images = {image['id']: image for image in content['images']}
  of_file, of_records = _boxes(content), _boxes(records)
  found: Dict[str, Dict[int, str]] = collections.defaultdict(dict)

  def add(what, image_id, there, here):
    text = 'image {} has {} there and {} in its record'
    found[what][image_id] = text.format(image_id, there, here)

  for image in records['images']:
    key = image['id']
    sizes = ['{width} x {height}'.format(**i) for i in (images[key], image)]
    if sizes[0] != sizes[1]:
      add('sizes', key, *sizes)
    there, here = of_file[key], of_records[key]
    shared = {i: boxes for i, boxes in here.items() if i in known}
    if _counts(there) != _counts(shared):
      add('numbers of objects by class', key, _counts(there), _counts(here))
    elif there and _share_of_found(there, shared) < _LEAST_OVERLAP:
      add('boxes', key, *(list(b.values())[0][0] for b in (there, shared)))
  return found


def _boxes(content: Dict[str, Any]) -> Dict[int, _Boxes]:
  """Boxes by image id; crowds, and those without area, left out."""
  boxes: Dict[int, _Boxes] = collections.defaultdict(dict)
  for entry in content['annotations']:
    if not entry['iscrowd'] and min(entry['bbox'][2:]) > 0:
      of_image = boxes[entry['image_id']]
      of_image.setdefault(entry['category_id'], []).append(entry['bbox'])
  return boxes


def _counts(boxes: _Boxes) -> Dict[int, int]:
  return {class_id: len(boxes[class_id]) for class_id in sorted(boxes)}


def _share_of_found(there: _Boxes, here: _Boxes) -> float:
  """Share of boxes that have a like one of their class on the other side."""
  overlaps = []
  for class_id, boxes in there.items():
    others = np.array(here[class_id], float)
    ious = mask_lib.iou(np.array(boxes, float), others, [0] * len(others))
    overlaps.extend(ious.max(axis=1))
  return float(np.mean(np.array(overlaps) > _LEAST_OVERLAP))


def _compare_names(label_map_file: str, source: str, content: Any) -> None:
  names = label_map.read_label_map(label_map_file)
  used = {entry['category_id'] for entry in content['annotations']}
  found = []
  for category in content['categories']:
    name, key = category.get('name'), category['id']
    if key not in names and key in used:
      found.append(f'{key} has objects there and no name')
    elif name and key in names and _plain(name) != _plain(names[key]):
      found.append(f"{key} is '{names[key]}', there '{name}'")
  if found:
    _log.warning(
      "eval.label_map_file '%s' does not fit %s in %d classes: %s. Give the "
      'label map of the same data set.',
      label_map_file,
      source,
      len(found),
      '; '.join(found[:_NUM_EXAMPLES]),
    )


def _plain(name: Any) -> str:
  return str(name).replace('_', ' ').strip().casefold()
