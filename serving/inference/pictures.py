"""Images and videos with boxes drawn on them, and class maps."""

import abc
import os
import re
from typing import Optional, Set

import cv2
import numpy as np

from dataloader import image_reader
from serving.inference import pipeline, writers
from utils import drawing, errors, files

# OpenCV's builds hold no encoder of H.264.
CODECS = {'.mp4': 'mp4v', '.avi': 'MJPG'}

_JPEG_QUALITY = 90
_NOT_FILE_NAME = re.compile(r'[^\w.-]+')


class _FolderWriter(writers.Writer):
  """A folder with a file for each image.

  Each file appears when it is whole. One of the same name is replaced.

  Args:
    directory: made if needed.
  """

  ending = ''

  def __init__(self, directory: str):
    with writers.explaining(directory):
      os.makedirs(directory, exist_ok=True)
    self._directory = directory
    self._names: Set[str] = set()

  @abc.abstractmethod
  def _encoded(self, result: pipeline.Result) -> bytes:
    """Content of the file of an image."""

  def add(self, result: pipeline.Result) -> None:
    path = os.path.join(self._directory, self._file_name(result.name))
    with writers.explaining(path):
      content = self._encoded(result)
      with files.Unfinished(path) as temporary, open(temporary, 'wb') as target:
        target.write(content)

  def _file_name(self, name: str) -> str:
    stem, ending = os.path.splitext(os.path.basename(name))
    if ending.lower() not in image_reader.ENDINGS:
      stem += ending
    stem = _NOT_FILE_NAME.sub('_', stem)
    unique, count = stem, 1
    while unique in self._names:
      count += 1
      unique = f'{stem}-{count}'
    self._names.add(unique)
    return unique + self.ending

  def close(self) -> str:
    return f"'{self._directory}': {len(self._names):,} pictures."

  def discard(self) -> None:
    # The pictures are whole, each by itself.
    return


class PictureWriter(_FolderWriter):
  """A folder with a JPEG for each image, what was found drawn on it.

  Args:
    directory: made if needed.
    how: draws it.
  """

  ending = '.jpg'

  def __init__(self, directory: str, how: writers.Drawing):
    super().__init__(directory)
    self._how = how

  def _encoded(self, result: pipeline.Result) -> bytes:
    return drawing.encoded_jpeg(self._how.draw(result), _JPEG_QUALITY)


class ClassMapWriter(_FolderWriter):
  """A folder with a PNG for each image, whose indices are classes of pixels."""

  ending = '.png'

  def _encoded(self, result: pipeline.Result) -> bytes:
    if result.detections.class_map is None:
      raise errors.UserError(
        f'--output_class_maps={self._directory}: the model finds objects or '
        'classes of images, not of pixels. Leave it out.'
      )
    return drawing.class_map_png(result.detections.class_map)


class VideoWriter(writers.Writer):
  """A video with boxes drawn on each frame, without sound.

  Args:
    path: of the file to write; its ending is one of `CODECS`.
    frames_per_second: rate of the video.
    how: draws the boxes.
  """

  def __init__(self, path: str, frames_per_second: float, how: writers.Drawing):
    self._path = path
    self._frames_per_second = frames_per_second
    self._how = how
    self._num_frames = 0
    with writers.explaining(path):
      self._file = files.Unfinished(path)
    self._writer: Optional[cv2.VideoWriter] = None

  def add(self, result: pipeline.Result) -> None:
    if self._writer is None:
      height, width = result.pixels.shape[:2]
      self._writer = cv2.VideoWriter(
        self._file.temporary,
        cv2.VideoWriter_fourcc(
          *CODECS[os.path.splitext(self._path)[1].lower()]
        ),
        self._frames_per_second,
        (width, height),
      )
      if not self._writer.isOpened():
        raise errors.UserError(f"OpenCV cannot write the video '{self._path}'.")
    frame = np.asarray(self._how.draw(result))
    self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    self._num_frames += 1

  def close(self) -> str:
    self._writer.release()
    self._file.finish()
    return f"'{self._path}': {self._num_frames:,} frames."

  def discard(self) -> None:
    if self._writer is not None:
      self._writer.release()
    self._file.discard()
