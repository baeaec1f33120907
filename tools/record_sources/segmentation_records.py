"""Records of images and their label maps."""

import io
from typing import Any, Dict, Iterator

import numpy as np
from PIL import Image

from dataloader import image_reader, record_contents
from tools.record_sources import annotations, label_pngs, record_kind
from tools.record_sources import report as report_lib
from utils import errors

# What a training ignores unless it is told otherwise; no class has the id.
_IGNORED = 255


class SegmentationRecords(record_kind.RecordKind):
  """A record for each image, with the class of each pixel as a grey PNG.

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
    labels = label_pngs.read(image.label_path)
    if labels.shape != (encoded.height, encoded.width):
      raise errors.DataError(
        '{}: the label map is {} x {} pixels, its image {} x {} (width x '
        'height). Give label maps of the size of their images.'.format(
          image.label_path, *labels.shape[::-1], encoded.width, encoded.height
        )
      )
    labels[labels == self._ignore_label] = _IGNORED
    png = io.BytesIO()
    Image.fromarray(labels).save(png, 'PNG')
    label = record_kind.bytes_feature(png.getvalue())
    areas = np.bincount(labels.ravel(), minlength=_IGNORED)
    yield record_kind.make_entry(
      image,
      encoded,
      {record_contents.CLASS_MAP_FEATURE: label},
      [
        {'category_id': class_id, 'area': int(areas[class_id])}
        for class_id in sorted(class_ids.values())
        if areas[class_id]
      ],
    )

  def objection(self, coco: Dict[str, Any], report: report_lib.Report) -> str:
    if record_kind.images_by_class(coco, report):
      return ''
    return (
      'No label map has a pixel of a class; they are 0, the background, or '
      'ignored.'
    )
