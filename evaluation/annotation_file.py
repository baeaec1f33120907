"""Annotation files in COCO's format: checked, copied, made from records."""

import logging
import os
import re
import reprlib
from typing import Any, Dict, List, Optional, Set, Tuple

import tensorflow.compat.v1 as tf
from faster_coco_eval import mask_api_new_cpp as mask_api
from pycocotools import mask as mask_lib

from evaluation import coco_json, record_annotations
from utils import errors, files, mask_utils

_log = logging.getLogger(__name__)

# COCO's text of run lengths.
_COMPRESSED = re.compile('[0-o]+')
# Pixels; a polygon takes memory by its length.
_MAX_COORDINATE = 2**24
# Run lengths have 32 bits.
_MOST_PIXELS = 2**32 - 1
FILE_NAME = 'eval_annotation_file.json'


def prepare(
  model_dir: str,
  val_json_file: Optional[str],
  file_pattern: str,
  eval_samples: Optional[int] = None,
  regenerate_source_id: bool = False,
  include_mask: bool = False,
  use_category: bool = True,
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
    include_mask: whether objects need masks.
    use_category: whether objects keep their classes; otherwise all are of
      class 1, as a model predicts that learned no others.

  Returns:
    Path of the annotation file.

  Raises:
    errors.DataError: `val_json_file` or a record cannot be used.
  """
  path = os.path.join(model_dir, FILE_NAME)
  if val_json_file:
    content = load_annotations(val_json_file, include_mask)
  else:
    content = record_annotations.read_annotations(
      file_pattern, eval_samples, regenerate_source_id, include_mask
    )
    _log.info(
      'Annotation file %s: %d images with %d objects from %s.',
      path,
      len(content['images']),
      len(content['annotations']),
      file_pattern,
    )
  if not use_category:
    for annotation in content['annotations']:
      annotation['category_id'] = 1
    content['categories'] = [{'id': 1, 'name': 'object'}]
  tf.io.gfile.makedirs(model_dir)
  files.write_json(path, content)
  return path


def load_annotations(path: str, require_masks: bool = False) -> Dict[str, Any]:
  """Reads and checks an annotation file.

  Args:
    path: COCO json, local or remote.
    require_masks: whether each annotation must have a segmentation.

  Returns:
    The content of the file; numbers that it has as text are numbers. Where an
    annotation lacks them, `area` is that of the mask, or width times height of
    the box where masks are not required, and `iscrowd` is 0.

  Raises:
    errors.DataError: the file is absent, not JSON, or not as it must be.
  """
  content = coco_json.read(path)
  try:
    coco_json.check_unique('images', [image.id for image in content.images])
    images = {image.id: image for image in content.images}
    category_ids = {category.id for category in content.categories}
    return dict(
      content.entry,
      images=[_image_dict(image) for image in content.images],
      annotations=[
        _annotation_dict(annotation, images, category_ids, require_masks)
        for annotation in content.annotations
      ],
      categories=[
        dict(category.entry, id=category.id, name=category.name)
        if category.name
        else dict(category.entry, id=category.id)
        for category in content.categories
      ],
    )
  except errors.DataError as error:
    raise errors.DataError(f'{path}: {error}') from error


def _image_dict(image: coco_json.Image) -> Dict[str, Any]:
  for key, side in (('height', image.height), ('width', image.width)):
    if side is None:
      raise errors.DataError(
        f"an entry of 'images' has no `{key}` of at least 1: "
        f'{reprlib.repr(image.entry)}'
      )
  return dict(image.entry, id=image.id, height=image.height, width=image.width)


def _annotation_dict(
  annotation: coco_json.Annotation,
  images: Dict[int, coco_json.Image],
  category_ids: Set[int],
  require_masks: bool,
) -> Dict[str, Any]:
  entry = annotation.entry
  width, height = annotation.bbox[2:]
  reason = ''
  if annotation.image_id not in images:
    reason = f"the image_id {annotation.image_id}, which is not in 'images'"
  elif annotation.category_id not in category_ids:
    reason = "the category_id {}, which is not in 'categories'".format(
      annotation.category_id
    )
  elif min(width, height) < 0:
    reason = 'the bbox {}, whose width or height is negative'.format(
      list(annotation.bbox)
    )
  elif require_masks and not is_segmentation(
    entry.get('segmentation'), *_size(images[annotation.image_id])
  ):
    reason = (
      'no `segmentation` of polygons, or of run lengths in the size of its '
      'image, which masks are scored by; boxes alone are without (eval.type: '
      'box)'
    )
  if reason:
    raise errors.DataError(
      'annotation {} has {}.'.format(reprlib.repr(entry.get('id')), reason)
    )
  area = annotation.area
  if area is None and require_masks:
    size = _size(images[annotation.image_id])
    rle = mask_utils.to_rle(entry['segmentation'], *size)
    area = float(mask_lib.area(rle))
  return dict(
    entry,
    image_id=annotation.image_id,
    category_id=annotation.category_id,
    bbox=list(annotation.bbox),
    area=width * height if area is None else area,
    iscrowd=int(annotation.is_crowd),
  )


def _size(image: coco_json.Image) -> Tuple[int, int]:
  return image.height, image.width


def is_segmentation(segmentation: Any, height: int, width: int) -> bool:
  """Whether C code can take it for an image: polygons, or run lengths."""
  if isinstance(segmentation, dict):
    counts = segmentation.get('counts')
    if isinstance(counts, str):
      counts = _decompressed(counts)
    return (
      segmentation.get('size') == [height, width]
      and isinstance(counts, list)
      and bool(counts)
      and all(isinstance(count, int) and count >= 0 for count in counts)
      and sum(counts) == height * width <= _MOST_PIXELS
    )
  return (
    isinstance(segmentation, list)
    and bool(segmentation)
    and all(_is_polygon(polygon) for polygon in segmentation)
  )


def _decompressed(counts: str) -> Optional[List[int]]:
  """Run lengths of COCO's text; None if it is none."""
  if not _COMPRESSED.fullmatch(counts):
    return None
  runs = {'size': [0, 0], 'counts': counts.encode('ascii')}
  try:
    return mask_api.toUncompressedRLE([runs])[0]['counts']
  except RuntimeError:  # It breaks off within a number.
    return None


def _is_polygon(values: Any) -> bool:
  return (
    isinstance(values, list)
    and len(values) >= 6
    and all(
      isinstance(v, (int, float)) and abs(v) <= _MAX_COORDINATE for v in values
    )
  )
