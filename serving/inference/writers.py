"""Base of the writers of detections."""

import abc
import contextlib
from typing import Dict, Iterator, NamedTuple, Optional

from PIL import Image

from serving.inference import pipeline
from utils import drawing, errors, files


class Writer(abc.ABC):
  """Takes results and leaves one file or folder, which `close` makes appear."""

  @abc.abstractmethod
  def add(self, result: pipeline.Result) -> None:
    """Adds an image."""

  @abc.abstractmethod
  def close(self) -> str:
    """Finishes; returns a sentence about what was written where."""

  @abc.abstractmethod
  def discard(self) -> None:
    """Removes what is unfinished."""


class TextWriter(Writer):
  """Leaves one text file.

  Args:
    path: local; its folder is made if needed.

  Raises:
    UserError: it cannot be written.
  """

  def __init__(self, path: str):
    self._path = path
    with explaining(path):
      self._file = files.Unfinished(path)
      self._stream = open(  # noqa: SIM115
        self._file.temporary, 'w', encoding='utf-8', newline='\n'
      )

  def close(self) -> str:
    self._stream.close()
    self._file.finish()
    return self._path

  def discard(self) -> None:
    self._stream.close()
    self._file.discard()


class Drawing(NamedTuple):
  """How detections are drawn.

  Attributes:
    label_map: class names by id, if known.
    max_boxes: detections an image.
    min_score: lowest score.
  """

  label_map: Optional[Dict[int, str]]
  max_boxes: int
  min_score: float

  def draw(self, result: pipeline.Result) -> Image.Image:
    """Returns the image with boxes, masks or classes of pixels on it."""
    class_map = result.detections.class_map
    if class_map is not None:
      return drawing.draw_class_map(
        Image.fromarray(result.pixels), class_map, self.label_map
      )
    found = result.detections.taken(slice(self.max_boxes))
    return drawing.draw_detections(
      result.pixels,
      found.boxes,
      found.classes,
      found.scores,
      self.label_map,
      self.min_score,
      masks=result._replace(detections=found).pasted_masks(),
    )


@contextlib.contextmanager
def explaining(path: str) -> Iterator[None]:
  """Turns an OSError into an error that names what the user asked for.

  Raises:
    UserError: of the machine, such as a full disk.
    DataError: of what is written, such as a picture too long for a JPEG.
  """
  try:
    yield
  except OSError as error:
    kind = errors.UserError if error.errno else errors.DataError
    raise kind(
      f"'{path}' cannot be written: {error.strerror or error}."
    ) from error
