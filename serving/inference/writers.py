"""What all outputs of a run of inference have in common.

Every writer takes results one by one and is then closed, which makes its file
appear: until then there is only a temporary one, so that no file is ever half
written.
"""

import abc
import contextlib
import os
from typing import Dict, Iterator, Optional

from PIL import Image

from serving.inference import pipeline
from utils import drawing, errors


class Writer(abc.ABC):
  """Takes results and leaves one file or folder."""

  @abc.abstractmethod
  def add(self, result: pipeline.Result) -> None:
    """Adds an image."""

  @abc.abstractmethod
  def close(self) -> str:
    """Finishes; returns a sentence about what was written where."""

  @abc.abstractmethod
  def discard(self) -> None:
    """Removes what is unfinished."""


class Drawing:
  """How detections are drawn.

  Args:
    label_map: class names by id, if known.
    max_boxes: detections an image.
    min_score: lowest score.
  """

  def __init__(
    self, label_map: Optional[Dict[int, str]], max_boxes: int, min_score: float
  ):
    self._label_map = label_map
    self._max_boxes = max_boxes
    self._min_score = min_score

  def draw(self, result: pipeline.Result) -> Image.Image:
    """Returns the image with the boxes on it."""
    count = self._max_boxes
    found = result.detections
    return drawing.draw_detections(
      result.pixels,
      None if found.boxes is None else found.boxes[:count],
      found.classes[:count],
      found.scores[:count],
      self._label_map,
      self._min_score,
    )


class UnfinishedText:
  """A text file that appears under its name once it is whole.

  Args:
    path: local; its folder is made if needed.

  Raises:
    UserError: it cannot be written.
  """

  def __init__(self, path: str):
    self._path = path
    with explaining(path):
      self._temporary = temporary_beside(path)
      self.stream = open(  # noqa: SIM115
        self._temporary, 'w', encoding='utf-8', newline='\n'
      )

  def finish(self) -> None:
    self.stream.close()
    os.replace(self._temporary, self._path)

  def discard(self) -> None:
    self.stream.close()
    remove(self._temporary)


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
      "'{}' cannot be written: {}.".format(path, error.strerror or error)
    ) from error


def temporary_beside(path: str) -> str:
  """Returns a hidden name in the same folder, which is made if needed."""
  directory, name = os.path.split(path)
  os.makedirs(directory or '.', exist_ok=True)
  stem, ending = os.path.splitext(name)
  # OpenCV goes by the ending.
  return os.path.join(directory, '.{}.{}{}'.format(stem, os.getpid(), ending))


def remove(path: str) -> None:
  """Removes a file, if it is there."""
  with contextlib.suppress(FileNotFoundError):
    os.remove(path)
