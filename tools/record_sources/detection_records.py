"""Records of images and their boxes."""

import io
from typing import Any, Dict, Iterator, List

import numpy as np
from PIL import Image
from pycocotools import mask as mask_lib

from dataloader import image_reader, whole_set
from tools.record_sources import annotations, boxes, record_kind
from tools.record_sources import report as report_lib


class DetectionRecords(record_kind.RecordKind):
  """A record for each image, with all of its boxes.

  Args:
    include_masks: whether each object has its mask, too.
  """

  def __init__(self, include_masks: bool = False):
    self._include_masks = include_masks

  def entries(
    self,
    image: annotations.AnnotatedImage,
    encoded: image_reader.Encoded,
    class_ids: Dict[str, int],
    report: report_lib.Report,
  ) -> Iterator[record_kind.Entry]:
    if encoded.re_encoded:
      report.add('re_encoded', image.file_name, encoded.re_encoded)
    usable = boxes.usable_boxes(
      image, encoded, class_ids, report, self._include_masks
    )
    if usable is None:
      return
    yield make_entry(image, encoded, usable, class_ids, self._include_masks)

  def objection(self, coco: Dict[str, Any], report: report_lib.Report) -> str:
    del report  # Unused.
    return whole_set.objection(
      len(coco['images']), [max(box['bbox'][2:]) for box in coco['annotations']]
    )


def make_entry(
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  usable: List[annotations.Box],
  class_ids: Dict[str, int],
  include_masks: bool = False,
) -> record_kind.Entry:
  """Returns a record of an image and its objects.

  Boxes are divided by the size of the image; labels start at 1. With masks,
  `segmentation` of the boxes has to be compressed run lengths of the image.
  """
  width, height = float(encoded.width), float(encoded.height)
  ints, floats = record_kind.ints_feature, record_kind.floats_feature
  prefix = 'image/object/'
  pngs = {}
  if include_masks:
    pngs[prefix + 'mask'] = record_kind.bytes_feature(
      *(_png(mask_lib.decode(box.segmentation)) for box in usable)
    )
  return record_kind.make_entry(
    image,
    encoded,
    {
      prefix + 'bbox/xmin': floats([box.xmin / width for box in usable]),
      prefix + 'bbox/xmax': floats([box.xmax / width for box in usable]),
      prefix + 'bbox/ymin': floats([box.ymin / height for box in usable]),
      prefix + 'bbox/ymax': floats([box.ymax / height for box in usable]),
      prefix + 'class/label': ints(
        [class_ids[box.class_name] for box in usable]
      ),
      prefix + 'area': floats([box.area for box in usable]),
      prefix + 'is_crowd': ints([int(box.is_crowd) for box in usable]),
      **pngs,
    },
    [_annotation(box, class_ids, include_masks) for box in usable],
  )


def _png(mask: np.ndarray) -> bytes:
  png = io.BytesIO()
  Image.fromarray(mask).save(png, 'PNG', compress_level=3)
  return png.getvalue()


def _annotation(
  box: annotations.Box, class_ids: Dict[str, int], include_mask: bool
) -> Dict[str, Any]:
  sides = [box.xmax - box.xmin, box.ymax - box.ymin]
  return {
    'category_id': class_ids[box.class_name],
    'bbox': [box.xmin, box.ymin, *sides],
    'area': box.area,
    'iscrowd': int(box.is_crowd),
    **({'segmentation': box.segmentation} if include_mask else {}),
  }
