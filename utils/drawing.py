"""Drawing of boxes, masks and class maps with labels."""

import base64
import colorsys
import io
from typing import (
  Dict,
  Iterable,
  List,
  Mapping,
  Optional,
  Sequence,
  Tuple,
  Union,
)

import cv2
import numpy as np
from PIL import Image, ImageDraw

from utils import fonts, mask_utils

_Rectangle = Tuple[int, int, int, int]  # left, top, right, bottom
# Of a mask's colour in the image, and of a box's where masks show the objects.
_MASK_ALPHA, _BOX_ALPHA = 0.4, 0.4
# Of a label, what may lie on masks of others, and on its own if that is small.
_MAX_HIDDEN, _SMALL_MASK = 0.02, 10


def draw_detections(
  image: Union[np.ndarray, Image.Image],
  boxes: Optional[np.ndarray],
  classes: np.ndarray,
  scores: Optional[np.ndarray] = None,
  label_map: Optional[Dict[int, str]] = None,
  min_score: float = 0.0,
  has_labels: bool = True,
  masks: Optional[Sequence[mask_utils.MaskWindow]] = None,
) -> Image.Image:
  """Returns a copy of an image with boxes, masks, names and scores on it.

  Labels never cover one another, nor masks: where a picture is too crowded for
  all of them, those of the highest scores are shown.

  Args:
    image: uint8 [height, width, 3] (RGB), or a Pillow image.
    boxes: [N, 4], ymin, xmin, ymax, xmax in pixels; those without area are
      left out. None: the classes are those of the whole image.
    classes: int [N].
    scores: [N]; None for groundtruth, which has none. Detections of score 0 or
      less are absent ones and are left out.
    label_map: class names by id; a class without one goes by its id, and one
      whose characters no font has by its id and Latin letters.
    min_score: the lowest score to draw.
    has_labels: whether names and scores are written, or boxes drawn alone.
    masks: of the boxes, in the image; filled in a shade of the class's colour
      that tells those apart that touch, with their outlines.
  """
  if not isinstance(image, Image.Image):
    image = Image.fromarray(image)
  image = image.convert('RGB')
  line_width = max(1, round(min(image.size) / 240))
  has_boxes = boxes is not None
  if not has_boxes:
    boxes = np.tile([0, 0, image.height, image.width], [len(classes), 1])
  shown = _shown(boxes, scores, min_score)
  rectangles = {row: _rectangle(boxes[row], image.size) for row in shown}
  plain = image.copy()
  draw = ImageDraw.Draw(image)
  # The highest scores come last here, so that they end up on top.
  for row in reversed(shown) if has_boxes else ():
    draw.rectangle(
      rectangles[row], outline=class_color(classes[row]), width=line_width
    )
  rows = None
  if masks is not None:
    image.paste(Image.blend(plain, image, _BOX_ALPHA))
    rows = _draw_masks(image, masks, classes, shown, line_width)
  if has_labels:
    _draw_labels(image, rectangles, classes, scores, label_map, masks, rows)
  return image


def draw_class_map(
  image: Image.Image,
  class_map: np.ndarray,
  label_map: Optional[Mapping[int, str]] = None,
) -> Image.Image:
  """Returns a copy of an image with its classes laid over, and a legend.

  Args:
    image: a Pillow image.
    class_map: int [height, width]. Class 0, the background, is left as it is;
      where no class counts, -1, the image is paler.
    label_map: class names by id; see `draw_detections`.
  """
  pixels = np.array(image.convert('RGB'))
  values = class_map.astype(np.int16)
  is_on = values > 0
  # There may be no class at all.
  num_colors = max(1, values.max() + 1)
  colors = np.float32([class_color(i) for i in range(num_colors)])
  pixels[is_on] = (1 - _MASK_ALPHA) * pixels[is_on] + _MASK_ALPHA * (
    colors[values[is_on]]
  )
  pixels[values < 0] = pixels[values < 0] // 2 + 120
  # Where the neighbourhood has several classes.
  window = np.ones([1 + 2 * max(1, round(min(image.size) / 480))] * 2)
  is_edge = cv2.dilate(values, window) != cv2.erode(values, window)
  pixels[is_edge & is_on] = colors[values[is_edge & is_on]]
  image = Image.fromarray(pixels)
  names, draw, top = _names(label_map), ImageDraw.Draw(image), 0
  present, counts = np.unique(values[is_on], return_counts=True)
  for class_id in present[np.argsort(-counts, kind='stable')]:
    text = names.get(int(class_id), str(class_id))
    font = fonts.load(_font_size(image), text)
    width, height = _label_size(font, text)
    place = (0, top, width, top + height)
    _draw_label(draw, place, text, font, class_color(class_id))
    top += height
  return image


def class_map_png(class_map: np.ndarray, is_overlay: bool = False) -> bytes:
  """Returns a PNG whose indices are classes, in the colours of these.

  Args:
    class_map: uint8 [height, width].
    is_overlay: whether class 0 is transparent, and not black.
  """
  image = Image.fromarray(class_map)
  image.putpalette(
    [0, 0, 0, *(part for i in range(1, 256) for part in class_color(i))]
  )
  buffer = io.BytesIO()
  image.save(buffer, 'PNG', **({'transparency': 0} if is_overlay else {}))
  return buffer.getvalue()


def class_color(class_id: int) -> Tuple[int, int, int]:
  """Returns the RGB colour of a class, the same in every picture."""
  return _rgb(_hue(class_id), 0.85, 0.95)


def mask_color(class_id: int, row: int) -> Tuple[int, int, int]:
  """Returns a shade of the colour of a class, another one in the next row."""
  turn = (row * 0.618034) % 1
  return _rgb(_hue(class_id) + 0.16 * (turn - 0.5), 0.5 + 0.5 * turn, 0.95)


def _hue(class_id: int) -> float:
  # Steps of the golden ratio keep the hues of neighbouring ids apart.
  return int(class_id) * 0.618034 + 0.35


def _rgb(hue: float, saturation: float, value: float) -> Tuple[int, int, int]:
  red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
  return round(255 * red), round(255 * green), round(255 * blue)


def _draw_masks(image, masks, classes, shown, line_width) -> np.ndarray:
  """Draws masks; returns the row of that on top at each pixel, -1 of none."""
  pixels = np.array(image)
  rows = np.full(pixels.shape[:2], -1)
  # As with boxes, the highest scores end up on top.
  for row in reversed(shown):
    ymin, xmin, mask = masks[row]
    height, width = mask.shape
    rows[ymin : ymin + height, xmin : xmin + width][mask > 0] = row
  colors = [mask_color(class_id, i) for i, class_id in enumerate(classes)]
  is_on = rows >= 0
  pixels[is_on] = (1 - _MASK_ALPHA) * pixels[is_on] + _MASK_ALPHA * (
    np.reshape(np.float32(colors), [-1, 3])[rows[is_on]]
  )
  for row in reversed(shown):
    ymin, xmin, mask = masks[row]
    if not mask.any():
      continue
    outlines, _ = cv2.findContours(
      mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(xmin, ymin)
    )
    cv2.drawContours(pixels, outlines, -1, colors[row], line_width)
  image.paste(Image.fromarray(pixels))
  return rows


def _draw_labels(
  image, rectangles, classes, scores, label_map, masks, rows
) -> None:
  """Labels the rectangles {row: rectangle} in their order, while there is room.

  Masks need `rows`, those that `_draw_masks` returns.
  """
  names, font_size = _names(label_map), _font_size(image)
  draw = ImageDraw.Draw(image)
  taken: List[_Rectangle] = []
  for row, rectangle in rectangles.items():
    text = names.get(int(classes[row]), str(int(classes[row])))
    font = fonts.load(font_size, text)
    if scores is not None:
      text += f' {100 * scores[row]:.0f}%'
    size = _label_size(font, text)
    is_hidden = None
    if masks is not None:
      is_hidden = rows >= 0
      if masks[row].pixels.sum() > _SMALL_MASK * size[0] * size[1]:
        is_hidden &= rows != row
    place = _free_place(rectangle, size, image.size, taken, is_hidden)
    if place is not None:
      taken.append(place)
      _draw_label(draw, place, text, font, class_color(classes[row]))


def _names(label_map: Optional[Mapping[int, str]]) -> Dict[int, str]:
  return fonts.drawable(frozenset((label_map or {}).items()))


def _font_size(image: Image.Image) -> int:
  return max(11, round(min(image.size) / 34))


def _shown(boxes, scores, min_score) -> List[int]:
  """Returns the rows to draw, those of the highest scores first."""
  rows = range(len(boxes))
  if scores is not None:
    rows = np.argsort(-np.asarray(scores), kind='mergesort').tolist()
    rows = [row for row in rows if scores[row] >= min_score and scores[row] > 0]
  return [
    row
    for row in rows
    if boxes[row][2] > boxes[row][0] and boxes[row][3] > boxes[row][1]
  ]


def _rectangle(box, image_size) -> _Rectangle:
  ymin, xmin, ymax, xmax = (float(edge) for edge in box)
  right, bottom = image_size[0] - 1, image_size[1] - 1
  return (
    int(np.clip(round(xmin), 0, right)),
    int(np.clip(round(ymin), 0, bottom)),
    int(np.clip(round(xmax), 0, right)),
    int(np.clip(round(ymax), 0, bottom)),
  )


def _label_size(font, text: str) -> Tuple[int, int]:
  ascent, descent = font.getmetrics()
  return int(np.ceil(font.getlength(text))) + 4, ascent + descent


def _free_place(
  rectangle: _Rectangle,
  label_size: Tuple[int, int],
  image_size: Tuple[int, int],
  taken: Iterable[_Rectangle],
  is_hidden: Optional[np.ndarray],
) -> Optional[_Rectangle]:
  """Returns where a label touches its box and no other label, if anywhere.

  Where `is_hidden`, bool [height, width], says so, it would hide a mask.
  """
  left, top, right, bottom = rectangle
  width, height = label_size
  columns = range(left, max(right - width, left) + 1, max(height // 2, 1))
  columns = [*columns, right - width, left - width, right]
  inside = range(top, bottom - height + 1, height)
  for y in [top - height, bottom, *inside, bottom - height]:
    for x in columns:
      x = max(min(x, image_size[0] - width), 0)
      if not 0 <= y <= image_size[1] - height:
        continue
      place = (x, y, x + width, y + height)
      if any(_overlap(place, other) for other in taken):
        continue
      if is_hidden is None or (
        is_hidden[y : y + height, x : x + width].mean() <= _MAX_HIDDEN
      ):
        return place
  return None


def _overlap(a: _Rectangle, b: _Rectangle) -> bool:
  return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw_label(draw, place, text, font, color) -> None:
  left, top, right, bottom = place
  # Pillow's rectangles include their right and bottom edges.
  draw.rectangle((left, top, right - 1, bottom - 1), fill=color)
  luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
  draw.text(
    (left + 2, top),
    text,
    font=font,
    fill='black' if luminance > 130 else 'white',
  )


def svg_path(polygons: Iterable[Sequence[int]]) -> str:
  """Returns polygons x0, y0, x1, y1, ... as data of an SVG path."""
  return ''.join(f'M{" ".join(map(str, polygon))}Z' for polygon in polygons)


def base64_jpeg(image: Image.Image) -> str:
  """Returns an image as a page holds it."""
  return base64.b64encode(encoded_jpeg(image)).decode('ascii')


def encoded_jpeg(image: Image.Image, quality: int = 80) -> bytes:
  buffer = io.BytesIO()
  image.save(buffer, 'JPEG', quality=quality)
  return buffer.getvalue()
