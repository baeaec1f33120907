"""A page of one file: theme, pictures, galleries."""

import os
import secrets
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import jinja2
from PIL import Image

from evaluation.analysis import analysis
from utils import drawing, files

# Pixels of the longer side of a picture on a page.
_MAX_SIDE = 900
# Of pictures and what is drawn on them, as text.
MAX_BYTES = 20 * 10**6


class Box(NamedTuple):
  """A box on a picture.

  Attributes:
    bbox: xmin, ymin, width, height in pixels of the image.
    label: what is written at it.
    kind: 'truth', 'good', 'bad', 'missed' or 'ignored', which is its colour.
    score: from 0 to 1, which a slider hides it by; None: it is always shown.
    outline: of its mask, data of an SVG path in pixels of the image, or ''.
  """

  bbox: Sequence[float]
  label: str = ''
  kind: str = 'truth'
  score: Optional[float] = None
  outline: str = ''


class Item(NamedTuple):
  """A picture in a gallery.

  Attributes:
    picture: what `Pictures.add` returned.
    caption: below it.
    sides: (title, boxes) of what stands beside one another when it is open;
      the thumbnail shows the last one.
    tags: values by which a reader can filter, by the name of the filter.
    focus: bbox that the thumbnail shows the surroundings of; None: all.
  """

  picture: int
  caption: str
  sides: Sequence[Tuple[str, Sequence[Box]]]
  tags: Dict[str, str] = {}
  focus: Optional[Sequence[float]] = None


class Pictures:
  """The images of a page, each once, and as many as fit.

  Attributes:
    encoded: `width`, `height` and `data` of each, in base64.
    num_left_out: how many could not be read, or did not fit.
  """

  def __init__(self):
    self._num_bytes = 0
    self._numbers: Dict[Any, Optional[int]] = {}
    self.encoded: List[Dict[str, Any]] = []
    self.num_left_out = 0

  def add(self, key: Any, image: Optional[Image.Image]) -> Optional[int]:
    """Takes an image and returns its number; None if the page is full.

    Args:
      key: an image of the same key is not taken again.
      image: whose pixels boxes refer to; None if it cannot be read.
    """
    if key not in self._numbers:
      self._numbers[key] = None
      data = None
      if image:
        small = image.convert('RGB')
        small.thumbnail((_MAX_SIDE, _MAX_SIDE))
        data = drawing.base64_jpeg(small)
      if self.takes(data):
        self._numbers[key] = len(self.encoded)
        size = {'width': image.width, 'height': image.height}
        self.encoded.append({**size, 'data': data})
    return self._numbers[key]

  def takes(self, text: Optional[str]) -> bool:
    """Makes room for a text, if there is as much."""
    if text is None or self._num_bytes + len(text) > MAX_BYTES:
      self.num_left_out += 1
      return False
    self._num_bytes += len(text)
    return True


def counted(count: int, what: str, ending: str = 's') -> str:
  """Returns '1 image', or '2,000 images'."""
  return f'{count:,} {what}{"" if count == 1 else ending}'


def write(path: str, template: str, pictures: Pictures, **context: Any) -> None:
  """Writes a page.

  Args:
    path: of the file, local or remote.
    template: name of one beside this module that extends `base.html`; with
      `{% from 'gallery.html' import gallery %}` it can show lists of `Item`.
    pictures: those that its galleries show.
    **context: what the template needs.
  """
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.globals.update(infinity=float('inf'), few=analysis.FEW_OBJECTS)
  environment.filters.update(item=lambda item: item._asdict(), counted=counted)
  text = environment.get_template(template).render(
    # Scripts that a name smuggles in lack it, and do not run.
    nonce=secrets.token_urlsafe(16),
    pictures=pictures,
    **context,
  )
  files.write_text(path, text)
