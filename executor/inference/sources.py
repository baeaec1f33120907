"""Where images come from: files, folders, patterns, TFRecords and videos."""

import os
import re
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence

import cv2
import tensorflow.compat.v1 as tf

from executor.inference import decoding
from utils import errors

IMAGE_ENDINGS = (
  '.bmp',
  '.gif',
  '.jpeg',
  '.jpg',
  '.png',
  '.tif',
  '.tiff',
  '.webp',
)
VIDEO_ENDINGS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.webm')
_TFRECORD = re.compile(r'(\.tfrecords?|-\d{5}-of-\d{5})$')
_GLOB = re.compile(r'[*?\[]')


class Item(NamedTuple):
  """One image that can be read.

  Attributes:
    name: path, or path and number within it.
    read: decodes it; raises DataError if that is impossible.
    image_id: as a TFRecord gives it, if it does.
  """

  name: str
  read: Callable[[], decoding.Picture]
  image_id: Optional[int] = None


class Video(NamedTuple):
  """Properties of a video.

  Attributes:
    frames_per_second: of the file; 25 where it does not say.
    width: pixels.
    height: pixels.
    num_frames: as the file says; 0 if it does not.
  """

  frames_per_second: float
  width: int
  height: int
  num_frames: int


def find_files(arguments: Sequence[str]) -> List[str]:
  """Returns the files that paths, folders and patterns stand for.

  Folders are searched for images, in their subfolders, too. The order is that
  of the arguments, and by name within each; no file comes twice.

  Raises:
    DataError: an argument stands for no file.
  """
  found: List[str] = []
  for argument in arguments:
    if tf.io.gfile.isdir(argument):
      files = sorted(
        os.path.join(folder, name)
        for folder, _, names in tf.io.gfile.walk(argument)
        for name in names
        if name.lower().endswith(IMAGE_ENDINGS)
      )
      if not files:
        raise errors.DataError(
          "The folder '{}' holds no image ({}).".format(
            argument, ', '.join(IMAGE_ENDINGS)
          )
        )
    elif _GLOB.search(argument) and not tf.io.gfile.exists(argument):
      files = sorted(tf.io.gfile.glob(argument))
      files = [path for path in files if not tf.io.gfile.isdir(path)]
      if not files:
        raise errors.DataError("No file matches '{}'.".format(argument))
    elif tf.io.gfile.exists(argument):
      files = [argument]
    else:
      raise errors.DataError("There is no '{}'.".format(argument))
    found += files
  return list(dict.fromkeys(found))


def is_video(path: str) -> bool:
  return path.lower().endswith(VIDEO_ENDINGS)


def items(files: Sequence[str], decoder: decoding.Decoder) -> Iterator[Item]:
  """Yields the images of files, records and videos, in order."""
  for path in files:
    if is_video(path):
      yield from _video_items(path)
    elif _TFRECORD.search(path):
      yield from _record_items(path, decoder)
    else:
      yield Item(path, lambda path=path: decoder.decode(_read(path)))


def count(files: Sequence[str]) -> Optional[int]:
  """Number of images, if it is known without reading everything."""
  total = 0
  for path in files:
    if _TFRECORD.search(path):
      return None
    total += video_properties(path).num_frames if is_video(path) else 1
  return total


def _read(path: str) -> bytes:
  try:
    with tf.io.gfile.GFile(path, 'rb') as source:
      return source.read()
  except tf.errors.OpError as error:
    raise errors.DataError('cannot be read: {}'.format(error)) from error


def _record_items(path: str, decoder: decoding.Decoder) -> Iterator[Item]:
  number = 0
  try:
    for record in tf.python_io.tf_record_iterator(path):
      yield _record_item('{}#{}'.format(path, number), record, decoder)
      number += 1
  except tf.errors.OpError as error:
    message = 'damaged TFRecord: {}'.format(error.message)
    yield Item('{}#{}'.format(path, number), _raiser(message))


def _record_item(name: str, record: bytes, decoder: decoding.Decoder) -> Item:
  example = tf.train.Example()
  try:
    example.ParseFromString(record)
  except Exception:  # protobuf's own error has no public place.
    return Item(name, _raiser('not a tf.train.Example'))

  def first(key):
    values = example.features.feature[key].bytes_list.value
    return values[0] if values else b''

  source_id = first('image/source_id').decode('utf-8', 'replace')
  file_name = first('image/filename').decode('utf-8', 'replace')
  encoded = first('image/encoded')
  is_number = re.match(r'\d+$', source_id)
  return Item(
    file_name or name,
    lambda: decoder.decode(encoded),
    int(source_id) if is_number else None,
  )


def _raiser(message: str) -> Callable[[], decoding.Picture]:
  def read():
    raise errors.DataError(message)

  return read


def video_properties(path: str) -> Video:
  """Reads the header of a video.

  Raises:
    DataError: OpenCV cannot read it.
  """
  capture = _open_video(path)
  try:
    return Video(
      capture.get(cv2.CAP_PROP_FPS) or 25.0,
      int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
      int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
      max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))),
    )
  finally:
    capture.release()


def _open_video(path: str) -> cv2.VideoCapture:
  capture = cv2.VideoCapture(path)
  if not capture.isOpened():
    raise errors.DataError(
      "The video '{}' cannot be read; OpenCV knows neither its container nor "
      'its codec, or it is damaged.'.format(path)
    )
  return capture


def _video_items(path: str) -> Iterator[Item]:
  capture = _open_video(path)
  try:
    number = 0
    while True:
      is_read, frame = capture.read()
      if not is_read:
        return
      picture = decoding.Picture(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
      yield Item('{}#{}'.format(path, number), lambda picture=picture: picture)
      number += 1
  finally:
    capture.release()
