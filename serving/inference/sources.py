"""Sources of images: files, folders, patterns, TFRecords, videos."""

import contextlib
import os
import re
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence

import cv2
import tensorflow.compat.v1 as tf
from google.protobuf import message

from dataloader import image_reader
from utils import errors

VIDEO_ENDINGS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.webm')
_TFRECORD = re.compile(r'(\.tfrecords?|-\d{5}-of-\d{5})$')
_GLOB = re.compile(r'[*?\[]')
_INTEGER = re.compile(r'\d{1,18}$')
# Headers of some containers give an estimate.
_LEAST_SHARE_OF_FRAMES = 0.9


class Item(NamedTuple):
  """One image that can be read.

  Attributes:
    name: path, or path and number within it.
    open: reads its header; raises DataError if that is impossible.
    image_id: as a TFRecord gives it, if it does.
  """

  name: str
  open: Callable[[], image_reader.Opened]
  image_id: Optional[int] = None

  def read(self) -> image_reader.Picture:
    """Decodes the image; raises DataError if that is impossible."""
    return self.open().decode()


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
        if name.lower().endswith(image_reader.ENDINGS)
      )
      if not files:
        raise errors.DataError(
          "The folder '{}' holds no image ({}). TFRecords and videos are named "
          "by a pattern, such as '{}'.".format(
            argument,
            ', '.join(image_reader.ENDINGS),
            os.path.join(argument, '*.tfrecord'),
          )
        )
    elif _GLOB.search(argument) and not tf.io.gfile.exists(argument):
      matches = sorted(tf.io.gfile.glob(argument))
      files = [path for path in matches if not tf.io.gfile.isdir(path)]
      if not files:
        raise errors.DataError(
          "No file matches '{}'{}.".format(
            argument,
            f', but {len(matches)} folders do: name these' if matches else '',
          )
        )
    elif tf.io.gfile.exists(argument):
      files = [argument]
    else:
      raise errors.DataError(
        f"There is no file or folder '{argument}', which an argument or "
        '--image_file_pattern names.'
      )
    found += files
  return list(dict.fromkeys(found))


def is_video(path: str) -> bool:
  return path.lower().endswith(VIDEO_ENDINGS)


def items(
  files: Sequence[str], decoder: image_reader.Decoder
) -> Iterator[Item]:
  """Yields the images of files, records and videos, in order.

  Where a file cannot be read to its end, the last item raises the reason.
  """
  for path in files:
    if is_video(path):
      yield from _video_items(path)
    elif _TFRECORD.search(path):
      yield from _record_items(path, decoder)
    else:
      yield Item(path, lambda path=path: decoder.open(_read(path)))


def failing_item(name: str, reason: str) -> Item:
  """An image that cannot be read."""

  def open_it():
    raise errors.DataError(reason)

  return Item(name, open_it)


def count(files: Sequence[str]) -> Optional[int]:
  """Number of images, if it is known without reading everything."""
  total = 0
  for path in files:
    if _TFRECORD.search(path):
      return None
    total += _num_frames(path) if is_video(path) else 1
  return total


def frames_per_second(video: str) -> float:
  """Rate of a video; 25 if the file does not say."""
  with _opened(video) as capture:
    return capture.get(cv2.CAP_PROP_FPS) or 25.0


@contextlib.contextmanager
def _opened(video: str) -> Iterator[cv2.VideoCapture]:
  capture = cv2.VideoCapture(video)
  try:
    yield capture
  finally:
    capture.release()


def _read(path: str) -> bytes:
  try:
    with tf.io.gfile.GFile(path, 'rb') as source:
      return source.read()
  except tf.errors.OpError as error:
    raise errors.DataError(f'cannot be read: {error}') from error


def _record_items(path: str, decoder: image_reader.Decoder) -> Iterator[Item]:
  number = 0
  try:
    for record in tf.python_io.tf_record_iterator(path):
      yield _record_item(f'{path}#{number}', record, decoder)
      number += 1
  except tf.errors.OpError as error:
    yield failing_item(
      f'{path}#{number}',
      f'damaged TFRecord file, what follows is lost: {error.message}',
    )
    return
  if not number:
    yield failing_item(path, 'TFRecord file without a record')


def _record_item(
  name: str, record: bytes, decoder: image_reader.Decoder
) -> Item:
  try:
    features = tf.train.Example.FromString(record).features.feature
  except message.DecodeError:
    return failing_item(name, 'not a tf.train.Example')

  def first(key):
    values = features[key].bytes_list.value
    return values[0] if values else b''

  encoded = first('image/encoded')
  if not encoded:
    return failing_item(name, 'a record without image/encoded')
  source_id = first('image/source_id').decode('utf-8', 'replace')
  file_name = first('image/filename').decode('utf-8', 'replace')
  return Item(
    file_name or name,
    lambda: decoder.open(encoded, as_in_training=True),
    int(source_id) if _INTEGER.match(source_id) else None,
  )


def _num_frames(video: str) -> int:
  """As the header says; 0 if it does not."""
  with _opened(video) as capture:
    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))


def _video_items(path: str) -> Iterator[Item]:
  number = 0
  with _opened(path) as capture:
    if not capture.isOpened():
      yield failing_item(
        path,
        'not a video, damaged, or of a container or codec that OpenCV does '
        'not know',
      )
      return
    while True:
      is_read, frame = capture.read()
      if not is_read:
        break
      picture = image_reader.Picture(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
      opened = image_reader.Opened(
        frame.shape[0] * frame.shape[1], lambda picture=picture: picture
      )
      yield Item(f'{path}#{number}', lambda opened=opened: opened)
      number += 1
  expected = _num_frames(path)
  if number < _LEAST_SHARE_OF_FRAMES * expected or not number:
    yield failing_item(
      f'{path}#{number}', f'the video ends after {number} of {expected} frames'
    )
