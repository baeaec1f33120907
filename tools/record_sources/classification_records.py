"""Records of images that have one class each."""

import hashlib
import io
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
from PIL import Image

from dataloader import image_reader
from tools.record_sources import annotations, boxes, images, record_kind
from tools.record_sources import report as report_lib

# Shorter side of a box, in pixels, that is worth a picture.
_LEAST_SIDE = 8
_JPEG_QUALITY = 95


class ClassificationRecords(record_kind.RecordKind):
  """A record for each image: a JPEG and the id of its class.

  The original's input decodes JPEGs only in training.
  """

  counted = 'images'

  def in_order(
    self, annotated: List[annotations.AnnotatedImage]
  ) -> List[annotations.AnnotatedImage]:
    """Mixes classes, always alike: training shuffles within a small window."""
    return sorted(
      annotated,
      key=lambda image: hashlib.sha256(str(image.source_id).encode()).digest(),
    )

  def entries(
    self,
    image: annotations.AnnotatedImage,
    encoded: image_reader.Encoded,
    class_ids: Dict[str, int],
    report: report_lib.Report,
  ) -> Iterator[record_kind.Entry]:
    if encoded.format != 'JPEG':
      report.add(
        'made_jpeg', image.file_name, encoded.re_encoded or encoded.format
      )
      encoded = _jpeg(_pixels(encoded))
    yield _entry(image, encoded, class_ids[image.class_name])

  def objection(self, coco: Dict[str, Any], report: report_lib.Report) -> str:
    counts = record_kind.images_by_class(coco, report)
    if len(counts) > 1:
      return ''
    ((name, count),) = counts.items()
    return (
      f"All {count} images are of one class, '{name}', and there is nothing to "
      'tell apart.'
    )


class CropRecords(ClassificationRecords):
  """A record for each box: what is within it, with a margin.

  Args:
    margin: on each edge, as a share of the side of the box.
  """

  nothing = 'There is no box that can be cropped.'

  def __init__(self, margin: float):
    self._margin = margin

  def entries(
    self,
    image: annotations.AnnotatedImage,
    encoded: image_reader.Encoded,
    class_ids: Dict[str, int],
    report: report_lib.Report,
  ) -> Iterator[record_kind.Entry]:
    usable = boxes.usable_boxes(image, encoded, class_ids, report) or []
    pixels = None
    for box in usable:
      if box.is_crowd:
        report.add('crowd_box', image.file_name, annotations.described(box))
        continue
      if min(box.xmax - box.xmin, box.ymax - box.ymin) < _LEAST_SIDE:
        report.add('box_too_small', image.file_name, annotations.described(box))
        continue
      if pixels is None:
        pixels = _pixels(encoded)
      left, top, right, bottom = self._region(box, encoded)
      entry = _entry(
        image._replace(source_id=0),  # Until it has its number.
        _jpeg(pixels[top:bottom, left:right]),
        class_ids[box.class_name],
      )
      entry.image['crop'] = [left, top, right - left, bottom - top]
      yield entry

  def numbered(
    self, entry: record_kind.Entry, position: int
  ) -> record_kind.Entry:
    entry.image['id'] = position
    source_id = entry.example.features.feature['image/source_id']
    source_id.bytes_list.value[0] = str(position).encode()
    return entry

  def _region(
    self, box: annotations.Box, encoded: image_reader.Encoded
  ) -> Tuple[int, int, int, int]:
    x_margin = self._margin * (box.xmax - box.xmin)
    y_margin = self._margin * (box.ymax - box.ymin)
    return (
      max(round(box.xmin - x_margin), 0),
      max(round(box.ymin - y_margin), 0),
      min(round(box.xmax + x_margin), encoded.width),
      min(round(box.ymax + y_margin), encoded.height),
    )


def _pixels(encoded: image_reader.Encoded) -> np.ndarray:
  """uint8 [height, width, 3]."""
  return images.shared_decoder().open(encoded.data).decode().pixels


def _jpeg(pixels: np.ndarray) -> image_reader.Encoded:
  """Encodes uint8 [height, width, 3] with little loss."""
  content = io.BytesIO()
  Image.fromarray(pixels).save(
    content, 'JPEG', quality=_JPEG_QUALITY, subsampling=0
  )
  height, width = pixels.shape[:2]
  return image_reader.Encoded(content.getvalue(), 'JPEG', width, height)


def _entry(
  image: annotations.AnnotatedImage,
  encoded: image_reader.Encoded,
  class_id: int,
) -> record_kind.Entry:
  features = {'image/class/label': record_kind.ints_feature([class_id])}
  return record_kind.make_entry(
    image, encoded, features, [{'category_id': class_id}]
  )
