"""What a run of inference leaves behind.

Every writer takes results one by one and is then closed, which makes its file
appear: until then there is only a temporary one, so that no file is ever half
written.
"""

import abc
import contextlib
import csv
import io
import os
import re
from typing import Dict, List, Optional, Set, Tuple

import cv2
import numpy as np

from evaluation import annotation_file, batches
from executor.inference import pipeline, sources
from utils import drawing, errors, files

_JPEG_QUALITY = 90
_NOT_FILE_NAME = re.compile(r'[^\w.-]+')


class Writer(abc.ABC):
  """Takes results and leaves one file or folder."""

  @abc.abstractmethod
  def add(self, result: pipeline.Result) -> None:
    """Adds an image."""

  @abc.abstractmethod
  def close(self) -> str:
    """Finishes; returns a sentence about what was written where."""

  def discard(self) -> None:
    """Removes what is unfinished, where that is more than memory."""
    return


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

  def draw(self, result: pipeline.Result):
    """Returns a Pillow image with the boxes on it."""
    count = self._max_boxes
    found = result.detections
    return drawing.draw_detections(
      result.pixels,
      found.boxes[:count],
      found.classes[:count],
      found.scores[:count],
      self._label_map,
      self._min_score,
    )


class CocoJsonWriter(Writer):
  """All detections in COCO's format for results.

  The id of an image is that of its TFRecord, or that of its file name in an
  annotation file; without either, images are numbered from 1, and a second
  file, `<path>.images.json`, tells the numbers.

  Args:
    path: of the json to write.
    annotations: COCO json with the ids of images, or ''.

  Raises:
    DataError: the annotations cannot be read, or have a file name twice.
  """

  def __init__(self, path: str, annotations: str = ''):
    self._path = path
    self._ids: Dict[str, int] = {}
    self._has_annotations = bool(annotations)
    if annotations:
      self._ids = _ids_by_file_name(annotations)
    self._used_ids: Set[int] = set()
    self._detections: List[dict] = []
    self._images: List[dict] = []

  def add(self, result: pipeline.Result) -> None:
    image_id = self._image_id(result)
    if image_id in self._used_ids:
      raise errors.DataError(
        "'{}' has the image_id {}, which an earlier image has, too.".format(
          result.name, image_id
        )
      )
    self._used_ids.add(image_id)
    found = result.detections
    boxes = batches.to_coco_boxes(found.boxes).tolist()
    self._detections += [
      {
        'image_id': image_id,
        'category_id': int(class_id),
        'bbox': box,
        'score': float(score),
      }
      for box, class_id, score in zip(boxes, found.classes, found.scores)
    ]

  def _image_id(self, result: pipeline.Result) -> int:
    if result.image_id is not None:
      return result.image_id
    if self._has_annotations:
      name = os.path.basename(result.name)
      if name not in self._ids:
        raise errors.DataError(
          "'{}' is not among the images of --annotation_file, so its "
          'detections would have no image_id. Leave the flag out to number '
          'the images.'.format(name)
        )
      return self._ids[name]
    height, width = result.pixels.shape[:2]
    image_id = len(self._images) + 1
    self._images.append(
      {
        'id': image_id,
        'file_name': result.name,
        'height': height,
        'width': width,
      }
    )
    return image_id

  def close(self) -> str:
    files.write_json(self._path, self._detections)
    sentence = "'{}': {:,} detections.".format(
      self._path, len(self._detections)
    )
    if self._images:
      path = self._path + '.images.json'
      files.write_json(path, {'images': self._images}, indent=1)
      sentence += " '{}': which image has which id.".format(path)
    return sentence


def _ids_by_file_name(path: str) -> Dict[str, int]:
  ids: Dict[str, int] = {}
  for image in annotation_file.load_annotations(path)['images']:
    name = os.path.basename(str(image.get('file_name', '')))
    if name in ids:
      raise errors.DataError(
        "{}: the file name '{}' stands for several images, so it does not say "
        'which is meant.'.format(path, name)
      )
    ids[name] = image['id']
  return ids


class CsvWriter(Writer):
  """A table with a row for each detection.

  Args:
    path: of the file to write.
    label_map: class names by id, if known.
    min_score: lowest score.
  """

  COLUMNS = (
    'file',
    'class_id',
    'class_name',
    'score',
    'ymin',
    'xmin',
    'ymax',
    'xmax',
  )

  def __init__(
    self, path: str, label_map: Optional[Dict[int, str]], min_score: float
  ):
    self._path = path
    self._label_map = label_map or {}
    self._min_score = min_score
    self._text = io.StringIO()
    self._writer = csv.writer(self._text, lineterminator='\n')
    self._writer.writerow(self.COLUMNS)
    self._num_rows = 0

  def add(self, result: pipeline.Result) -> None:
    for box, class_id, score in zip(*result.detections):
      if score < self._min_score:
        continue
      self._num_rows += 1
      self._writer.writerow(
        [
          result.name,
          class_id,
          self._label_map.get(int(class_id), ''),
          '{:.6f}'.format(score),
          *('{:.2f}'.format(edge) for edge in box),
        ]
      )

  def close(self) -> str:
    files.write_text(self._path, self._text.getvalue())
    return "'{}': {:,} rows.".format(self._path, self._num_rows)


class PictureWriter(Writer):
  """A folder with a JPEG for each image, boxes drawn on it.

  Args:
    directory: made if needed.
    how: draws the boxes.
  """

  def __init__(self, directory: str, how: Drawing):
    os.makedirs(directory, exist_ok=True)
    self._directory = directory
    self._how = how
    self._names: Dict[str, int] = {}

  def add(self, result: pipeline.Result) -> None:
    path = os.path.join(self._directory, self._file_name(result.name))
    temporary = _temporary_beside(path)
    self._how.draw(result).save(temporary, 'JPEG', quality=_JPEG_QUALITY)
    os.replace(temporary, path)

  def _file_name(self, name: str) -> str:
    folder, base = os.path.split(name)
    del folder
    stem = re.sub(r'\.(jpe?g|png|bmp|gif|tiff?|webp)$', '', base, flags=re.I)
    stem = _NOT_FILE_NAME.sub('_', stem)
    count = self._names.get(stem, 0)
    self._names[stem] = count + 1
    return '{}{}.jpg'.format(stem, '-{}'.format(count + 1) if count else '')

  def close(self) -> str:
    return "'{}': {:,} pictures.".format(
      self._directory, sum(self._names.values())
    )


class VideoWriter(Writer):
  """A video with boxes drawn on each frame, without sound.

  Args:
    path: of the file to write, .mp4 or .avi.
    video: properties of the video that is read.
    how: draws the boxes.
  """

  CODECS = {'.mp4': 'mp4v', '.avi': 'MJPG'}

  def __init__(self, path: str, video: sources.Video, how: Drawing):
    ending = os.path.splitext(path)[1].lower()
    if ending not in self.CODECS:
      raise errors.ConfigError(
        "--output_video: '{}' has to end in {}.".format(
          path, ' or '.join(self.CODECS)
        )
      )
    self._path = path
    self._how = how
    self._num_frames = 0
    self._temporary = _temporary_beside(path)
    self._writer = cv2.VideoWriter(
      self._temporary,
      cv2.VideoWriter_fourcc(*self.CODECS[ending]),
      video.frames_per_second,
      (video.width, video.height),
    )
    if not self._writer.isOpened():
      raise errors.UserError("OpenCV cannot write the video '{}'.".format(path))

  def add(self, result: pipeline.Result) -> None:
    frame = np.asarray(self._how.draw(result))
    self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    self._num_frames += 1

  def discard(self) -> None:
    self._writer.release()
    with contextlib.suppress(FileNotFoundError):
      os.remove(self._temporary)

  def close(self) -> str:
    self._writer.release()
    os.replace(self._temporary, self._path)
    return "'{}': {:,} frames.".format(self._path, self._num_frames)


def _temporary_beside(path: str) -> str:
  directory, name = os.path.split(path)
  os.makedirs(directory or '.', exist_ok=True)
  stem, ending = os.path.splitext(name)
  # OpenCV goes by the ending.
  return os.path.join(directory, '.{}.{}{}'.format(stem, os.getpid(), ending))


def check_outputs(paths: Dict[str, str]) -> None:
  """Raises ConfigError unless some output is wanted, each at its own place.

  Args:
    paths: paths by flag; '' where the flag is not given.
  """
  wanted: List[Tuple[str, str]] = [(k, v) for k, v in paths.items() if v]
  if not wanted:
    raise errors.ConfigError(
      'Nothing to write: give at least one of {}.'.format(
        ', '.join('--' + flag for flag in paths)
      )
    )
  places = [os.path.abspath(path) for _, path in wanted]
  if len(set(places)) < len(places):
    raise errors.ConfigError(
      'Two outputs have the same path: {}.'.format(
        ', '.join('--{}={}'.format(*item) for item in wanted)
      )
    )
