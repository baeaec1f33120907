"""Image files as the bytes of a record."""

import collections
import concurrent.futures
import functools
import os
from typing import (
  Callable,
  Iterator,
  List,
  Optional,
  Sequence,
  Tuple,
  TypeVar,
)

import tensorflow.compat.v1 as tf

from dataloader import image_reader
from tools.record_sources import annotations
from tools.record_sources import report as report_lib
from utils import errors

# Images that are read at once, and how often that is ahead; bounds the memory.
_NUM_AT_ONCE = 8
_NUM_AHEAD = 8
# Remote files come slowly, but several at a time.
_NUM_THREADS = max(3, os.cpu_count() or 1)
_MAX_PIXELS = 2**28

_Item = TypeVar('_Item')
_Result = TypeVar('_Result')


@functools.lru_cache(maxsize=None)
def shared_decoder() -> image_reader.Decoder:
  """Returns that of this process, whose graph takes a while to build."""
  return image_reader.Decoder(_MAX_PIXELS)


def work_ahead(
  work: Callable[[List[_Item]], _Result], items: Sequence[_Item]
) -> Iterator[_Result]:
  """Yields what `work` makes of a few items each, in order, by threads."""
  pending = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    try:
      for start in range(0, len(items), _NUM_AT_ONCE):
        few = items[start : start + _NUM_AT_ONCE]
        pending.append(pool.submit(work, few))
        if len(pending) == _NUM_AHEAD:
          yield pending.popleft().result()
      while pending:
        yield pending.popleft().result()
    finally:
      for future in pending:
        future.cancel()


def read_images(
  images: Sequence[annotations.AnnotatedImage],
  decoder: image_reader.Decoder,
  report: report_lib.Report,
) -> Iterator[Tuple[annotations.AnnotatedImage, image_reader.Encoded]]:
  """Yields what records hold of the images that can be read; reports others."""
  try:
    contents = decoder.read_files([image.path for image in images])
  except tf.errors.OpError:
    # One by one it shows which, and what can be done about it.
    contents = [()] * len(images)
  for image, content in zip(images, contents):
    lost = '' if image.class_name else f'; {len(image.boxes)} boxes'
    try:
      if content:
        encoded = decoder.encode_for_record(*content)
      else:
        encoded = _read_first(image, decoder)
    except errors.DataError as error:
      kind = 'unreadable_image'
      if isinstance(error, image_reader.UnknownFormatError):
        kind = 'unknown_format'
      reason = str(error).splitlines()[0]
      report.add(kind, image.file_name, f'{reason}{lost}')
      continue
    if encoded is None:
      report.add('missing_image', image.file_name, f'{image.path}{lost}')
      continue
    yield image, encoded


def _read_first(
  image: annotations.AnnotatedImage, decoder: image_reader.Decoder
) -> Optional[image_reader.Encoded]:
  """Returns what is at the first of the image's paths that exists."""
  for path in (image.path, *image.other_paths):
    try:
      with tf.io.gfile.GFile(path, 'rb') as source:
        content = source.read()
    except tf.errors.NotFoundError:
      continue
    except tf.errors.OpError as error:
      raise errors.DataError(str(error)) from error
    return decoder.encode_for_record(content)
  return None
