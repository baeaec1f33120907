"""One self-contained page with all images and what was found in them."""

import base64
import io
import json
import os
from typing import Any, Dict, List, Optional

import jinja2
from PIL import Image

from executor.inference import pipeline, writers
from utils import drawing, files

# Pictures are kept at most this large, so that a page of hundreds opens.
_LONGEST_SIDE = 1024
LEAST_SCORE = 0.05
_JPEG_QUALITY = 80
_TEMPLATE = 'page.html'


class HtmlWriter(writers.Writer):
  """Thumbnails that open large, with a filter by class and by score.

  Args:
    path: of the page to write.
    title: shown at the top.
    label_map: class names by id, if known.
    max_boxes: detections an image.
    min_score: lowest score that is shown at first; down to `LEAST_SCORE` the
      page knows of all.
  """

  def __init__(
    self,
    path: str,
    title: str,
    label_map: Optional[Dict[int, str]],
    max_boxes: int,
    min_score: float,
  ):
    self._path = path
    self._title = title
    self._label_map = label_map or {}
    self._max_boxes = max_boxes
    self._min_score = min_score
    self._images: List[Dict[str, Any]] = []
    self._classes: Dict[int, int] = {}

  def add(self, result: pipeline.Result) -> None:
    height, width = result.pixels.shape[:2]
    detections = []
    for box, class_id, score in list(zip(*result.detections))[
      : self._max_boxes
    ]:
      if score < min(self._min_score, LEAST_SCORE):
        continue
      class_id = int(class_id)
      self._classes[class_id] = self._classes.get(class_id, 0) + 1
      detections.append(
        [class_id, round(float(score), 4)] + [round(float(v), 1) for v in box]
      )
    self._images.append(
      {
        'name': result.name,
        'note': result.note,
        'width': width,
        'height': height,
        'detections': detections,
        'source': _data_url(result.pixels),
      }
    )

  def close(self) -> str:
    classes = [
      {
        'id': class_id,
        'name': self._label_map.get(class_id, str(class_id)),
        'color': '#{:02x}{:02x}{:02x}'.format(*drawing.class_color(class_id)),
      }
      for class_id in sorted(self._classes)
    ]
    environment = jinja2.Environment(
      loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
      autoescape=True,
      undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template(_TEMPLATE).render(
      title=self._title,
      least_score=min(self._min_score, LEAST_SCORE),
      min_score=self._min_score,
      data=_script_json({'classes': classes, 'images': self._images}),
    )
    files.write_text(self._path, text)
    return "'{}': {:,} images; open it in a browser.".format(
      self._path, len(self._images)
    )


def _data_url(pixels: Any) -> str:
  image = Image.fromarray(pixels)
  image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
  buffer = io.BytesIO()
  image.save(buffer, 'JPEG', quality=_JPEG_QUALITY)
  encoded = base64.b64encode(buffer.getvalue()).decode('ascii')
  return 'data:image/jpeg;base64,' + encoded


def _script_json(data: Any) -> str:
  """JSON that cannot end the script element that it stands in."""
  return json.dumps(data, allow_nan=False).replace('<', '\\u003c')
