"""Page with all images and their detections."""

import base64
import os
import secrets
import tempfile
from typing import Any, Dict, Iterator, List, Optional, Tuple

import jinja2
import numpy as np
from PIL import Image

from serving.inference import pipeline, writers
from utils import drawing, mask_utils

# The page knows of detections down to this score.
LEAST_SCORE = 0.05
# Sides of the pictures, so that a page of hundreds opens.
_LARGE = 1280
_THUMBNAIL = 400
_TEMPLATE = 'page.html'


class HtmlWriter(writers.TextWriter):
  """Thumbnails that open large, with a filter by class and by score.

  Masks can be switched off, all of them or one by one.

  The pictures wait in a temporary file, not in memory.

  Args:
    path: of the page to write.
    title: shown at the top.
    label_map: class names by id, if known.
    min_score: lowest score that is shown at first.
    max_images: further ones are only counted, since browsers have limits.
  """

  def __init__(
    self,
    path: str,
    title: str,
    label_map: Optional[Dict[int, str]],
    min_score: float,
    max_images: int,
  ):
    super().__init__(path)
    self._title = title
    self._label_map = label_map or {}
    self._min_score = min_score
    self._least_score = min(min_score, LEAST_SCORE)
    self._max_images = max_images
    self._images: List[Dict[str, Any]] = []
    self._num_left_out = 0
    self._pictures = tempfile.TemporaryFile(  # noqa: SIM115
      'w+', encoding='ascii'
    )

  def add(self, result: pipeline.Result) -> None:
    if len(self._images) == self._max_images:
      self._num_left_out += 1
      return
    height, width = result.pixels.shape[:2]
    masks = result.pasted_masks()
    class_map = result.detections.class_map
    if class_map is not None:
      class_map = Image.fromarray(class_map)
      class_map.thumbnail((_LARGE, _LARGE), Image.NEAREST)
      class_map = np.asarray(class_map)
    detections, outlines = [], []
    # Scores are exact, so that the page counts what the table holds.
    for row, (class_id, score, box) in enumerate(result.detections.rows()):
      if score >= self._least_score:
        edges = (round(edge, 1) for edge in box)
        detections.append([class_id, score, *edges])
        if masks is not None:
          color = _hex(drawing.mask_color(class_id, row))
          outlines.append(
            [color, drawing.svg_path(mask_utils.window_polygons(masks[row]))]
          )
        elif class_map is not None:
          outlines.append(
            [
              _hex(drawing.class_color(class_id)),
              '',
              _layer(class_map, class_id),
            ]
          )
    large = Image.fromarray(result.pixels)
    large.thumbnail((_LARGE, _LARGE))
    small = large.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    encoded = [drawing.base64_jpeg(each) + '\n' for each in (small, large)]
    self._images.append(
      {
        'name': result.name,
        'note': result.note,
        'width': width,
        'height': height,
        'detections': detections,
        'masks': outlines,
      }
    )
    self._pictures.writelines(encoded)

  def close(self) -> str:
    class_ids = {
      row[0] for image in self._images for row in image['detections']
    }
    classes = [
      {
        'id': class_id,
        'name': self._label_map.get(class_id, str(class_id)),
        'color': _hex(drawing.class_color(class_id)),
      }
      for class_id in sorted(class_ids)
    ]
    environment = jinja2.Environment(
      loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
      autoescape=True,
      undefined=jinja2.StrictUndefined,
    )
    parts = environment.get_template(_TEMPLATE).generate(
      title=self._title,
      # Scripts that a name smuggles in lack it, and do not run.
      nonce=secrets.token_urlsafe(16),
      num_left_out=self._num_left_out,
      data={
        'leastScore': self._least_score,
        'minScore': self._min_score,
        'classes': classes,
        'images': self._images,
        'folder': _common_folder([image['name'] for image in self._images]),
      },
      pictures=self._stored_pictures(),
    )
    self._stream.writelines(parts)
    self._pictures.close()
    super().close()
    sentence = (
      f"'{self._path}': {len(self._images):,} images; open it in a browser."
    )
    if self._num_left_out:
      sentence += (
        f' {self._num_left_out:,} more are left out (--max_images_on_page).'
      )
    return sentence

  def discard(self) -> None:
    self._pictures.close()
    super().discard()

  def _stored_pictures(self) -> Iterator[str]:
    self._pictures.seek(0)
    for line in self._pictures:
      yield line.rstrip('\n')


def _layer(class_map: np.ndarray, class_id: int) -> str:
  """The pixels of a class as an image that a page lays over a picture."""
  of_class = np.where(class_map == class_id, class_map, np.uint8(0))
  png = drawing.class_map_png(of_class, is_overlay=True)
  return 'data:image/png;base64,' + base64.b64encode(png).decode('ascii')


def _common_folder(names: List[str]) -> str:
  """What all names start with, up to a slash; '' if that is nothing."""
  prefix = os.path.commonprefix(names)
  return prefix[: prefix.rfind('/') + 1]


def _hex(color: Tuple[int, int, int]) -> str:
  return '#{:02x}{:02x}{:02x}'.format(*color)
