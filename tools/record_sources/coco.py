"""COCO annotation files (https://cocodataset.org/#format-data)."""

import collections
import os
from typing import Dict, List, Optional, Sequence

from evaluation import coco_json
from tools.record_sources import annotations, image_files
from tools.record_sources import report as report_lib
from utils import errors

# What shows that sides are corners: boxes that leave their image, where nearly
# all would be within it as corners.
_SHARE_BEYOND = 0.25
_SHARE_OF_CORNERS = 0.9
_LEAST_BOXES = 3


def read_coco(
  json_file: str,
  image_dir: str,
  report: report_lib.Report,
  label_map: Optional[Dict[int, str]] = None,
) -> annotations.AnnotatedSet:
  """Reads the boxes of a COCO instances file.

  Args:
    json_file: path of the annotation file.
    image_dir: folder that `file_name` of the images is relative to; an image
      that is not there is looked for by the last parts of its path.
    report: receives what cannot be used.
    label_map: class ids to use in place of the file's category ids; the
      classes are matched by name.

  Returns:
    Every image once, with its boxes. Images without boxes are kept.

  Raises:
    errors.DataError: the file cannot be read or lacks what it must have.
  """
  json_name = os.path.basename(json_file)
  content = coco_json.read(
    json_file, lambda reason: report.add('malformed_box', json_name, reason)
  )
  names = _category_names(content.categories, json_file)
  images = _images_by_id(content.images, json_file, report)
  boxes = collections.defaultdict(list)
  for annotation in content.annotations:
    image = images.get(annotation.image_id)
    if image is None:
      what = 'annotation {} of image id {}'.format(
        annotation.entry.get('id'), annotation.image_id
      )
      report.add('unknown_image_id', json_name, what)
    elif annotation.category_id not in names:
      what = f'category id {annotation.category_id}'
      report.add('unknown_class', image.file_name, what)
    else:
      boxes[image.id].append(annotation)
  _check_not_corners(images, boxes, json_file)

  return annotations.AnnotatedSet(
    _annotated_images(images, boxes, names, image_dir),
    names if label_map is None else label_map,
  )


def _annotated_images(
  images: Dict[int, coco_json.Image],
  boxes: Dict[int, List[coco_json.Annotation]],
  names: Dict[int, str],
  image_dir: str,
) -> List[annotations.AnnotatedImage]:
  found = image_files.places(
    [image.file_name for image in images.values()], image_dir
  )
  return [
    annotations.AnnotatedImage(
      source_id=image.id,
      file_name=image.file_name,
      path=found[image.file_name][0],
      boxes=[_box(box, names) for box in boxes[image.id]],
      width=image.width,
      height=image.height,
      other_paths=found[image.file_name][1:],
    )
    for image in images.values()
  ]


def _images_by_id(
  images: Sequence[coco_json.Image], json_file: str, report: report_lib.Report
) -> Dict[int, coco_json.Image]:
  by_id = {}
  for image in images:
    if not image.file_name:
      raise errors.DataError(
        f'{json_file}: image {image.id} has no `file_name`.'
      )
    if by_id.setdefault(image.id, image) is not image:
      what = f'image id {image.id}'
      report.add('duplicate_image', image.file_name, what)
  return by_id


def _category_names(
  categories: Sequence[coco_json.Category], json_file: str
) -> Dict[int, str]:
  for category in categories:
    if not category.name:
      raise errors.DataError(
        f'{json_file}: category {category.id} has no `name`.'
      )
  names = {category.id: category.name for category in categories}
  if len(set(names.values())) < len(categories):
    raise errors.DataError(
      f'{json_file}: a category name occurs more than once.'
    )
  return names


def _check_not_corners(
  images: Dict[int, coco_json.Image],
  boxes: Dict[int, List[coco_json.Annotation]],
  json_file: str,
) -> None:
  """Refuses [xmin, ymin, xmax, ymax] in place of sides, as far as it shows."""
  num_boxes = num_corners = num_beyond = 0
  for image_id, found in boxes.items():
    width, height = images[image_id].width, images[image_id].height
    if not (width and height):
      continue
    for x, y, right, below in (box.bbox for box in found):
      num_boxes += 1
      num_corners += x < right <= width and y < below <= height
      num_beyond += x + right > width + 1 or y + below > height + 1
  if (
    num_boxes >= _LEAST_BOXES
    and num_corners >= _SHARE_OF_CORNERS * num_boxes
    and num_beyond >= _SHARE_BEYOND * num_boxes
  ):
    raise errors.DataError(
      f'{json_file}: {num_beyond} of {num_boxes} boxes leave their image, but '
      'would fit if bbox were [xmin, ymin, xmax, ymax]. COCO has [xmin, ymin, '
      'width, height].'
    )


def _box(
  annotation: coco_json.Annotation, names: Dict[int, str]
) -> annotations.Box:
  xmin, ymin, width, height = annotation.bbox
  return annotations.Box(
    class_name=names[annotation.category_id],
    xmin=xmin,
    ymin=ymin,
    xmax=xmin + width,
    ymax=ymin + height,
    area=annotation.area,
    is_crowd=annotation.is_crowd,
    segmentation=annotation.entry.get('segmentation'),
  )
