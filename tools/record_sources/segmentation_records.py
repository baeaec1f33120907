"""Records of images and their label maps."""

import io
from typing import Any, Dict, Iterator, List

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image
from pycocotools import mask as mask_lib

from dataloader import image_reader, record_contents
from tools.record_sources import annotations, boxes, label_pngs, record_kind
from tools.record_sources import report as report_lib
from utils import errors

# What a training ignores unless it is told otherwise; no class has the id.
_IGNORED = 255


class SegmentationRecords(record_kind.RecordKind):
  """A record for each image, with the class of each pixel as a grey PNG.

  Without a label map of its own, an image has one made of the masks of its
  objects: small ones lie on large ones, and crowds do not count.

  Args:
    ignore_label: stored as 255, which is what a training ignores.
  """

  counted = 'images'
  least_id = 0

  def __init__(self, ignore_label: int):
    self._ignore_label = ignore_label

  def entries(
    self,
    image: annotations.AnnotatedImage,
    encoded: image_reader.Encoded,
    class_ids: Dict[str, int],
    report: report_lib.Report,
  ) -> Iterator[record_kind.Entry]:
    if encoded.re_encoded:
      report.add('re_encoded', image.file_name, encoded.re_encoded)
    if max(class_ids.values()) >= _IGNORED:
      raise errors.DataError(
        f'Class id {max(class_ids.values())} does not fit into label maps, '
        'whose ids are 0 to 254. Give smaller ones with --label_map.'
      )
    if image.label_path:
      labels = self._stored(image, encoded)
    else:
      objects = boxes.usable_boxes(
        image, encoded, class_ids, report, include_masks=True
      )
      if objects is None:
        return
      labels = _painted(objects, encoded, class_ids)
    png = io.BytesIO()
    Image.fromarray(labels.astype(np.uint8)).save(png, 'PNG')
    example = tf.train.Example(
      features=tf.train.Features(
        feature={
          **record_kind.image_features(
            image.source_id, image.file_name, encoded
          ),
          record_contents.CLASS_MAP_FEATURE: record_kind.bytes_feature(
            png.getvalue()
          ),
        }
      )
    )
    areas = np.bincount(labels.ravel())
    yield record_kind.Entry(
      example,
      record_kind.image_entry(image.source_id, image.file_name, encoded),
      [
        {'category_id': class_id, 'area': int(areas[class_id])}
        for class_id in sorted(class_ids.values())
        if class_id < len(areas) and areas[class_id]
      ],
    )

  def _stored(
    self, image: annotations.AnnotatedImage, encoded: image_reader.Encoded
  ) -> np.ndarray:
    labels = label_pngs.read(image.label_path)
    if labels.shape != (encoded.height, encoded.width):
      raise errors.DataError(
        '{}: the label map is {} x {} pixels, its image {} x {} (width x '
        'height). Give label maps of the size of their images.'.format(
          image.label_path, *labels.shape[::-1], encoded.width, encoded.height
        )
      )
    return np.where(labels == self._ignore_label, _IGNORED, labels)

  def objection(self, coco: Dict[str, Any], report: report_lib.Report) -> str:
    used = {annotation['category_id'] for annotation in coco['annotations']}
    for entry in coco['categories']:
      if entry['id'] not in used:
        report.add('class_without_image', entry['name'])
    if used:
      return ''
    return (
      'No label map has a pixel of a class; they are 0, the background, or '
      'ignored.'
    )


def _painted(
  objects: List[annotations.Box],
  encoded: image_reader.Encoded,
  class_ids: Dict[str, int],
) -> np.ndarray:
  """Label map of objects with masks, uint8 [height, width]."""
  labels = np.zeros([encoded.height, encoded.width], np.uint8)
  for box in sorted(objects, key=lambda box: (not box.is_crowd, -box.area)):
    is_on = mask_lib.decode(box.segmentation) > 0
    labels[is_on] = _IGNORED if box.is_crowd else class_ids[box.class_name]
  return labels
