"""Image files as the bytes of a record."""

import collections
import concurrent.futures
import os
from typing import Callable, Iterable, Iterator, Optional, TypeVar

import tensorflow.compat.v1 as tf

from dataloader import image_reader
from tools.record_sources import annotations
from tools.record_sources import report as report_lib
from utils import errors

# Images that are worked on ahead; bounds the memory.
_NUM_AHEAD = 64
# Remote files come slowly, but several at a time.
_NUM_THREADS = max(4, os.cpu_count() or 1)
MAX_PIXELS = 2**28

_Item = TypeVar('_Item')
_Result = TypeVar('_Result')


def work_ahead(
  work: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
  """Yields what `work` makes of each item, in order, by several threads."""
  pending = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    try:
      for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) == _NUM_AHEAD:
          yield pending.popleft().result()
      while pending:
        yield pending.popleft().result()
    finally:
      for future in pending:
        future.cancel()


def read_image(
  image: annotations.AnnotatedImage,
  decoder: image_reader.Decoder,
  report: report_lib.Report,
) -> Optional[image_reader.Encoded]:
  """Returns what a record holds of an image; None, and reported, if nothing."""
  lost = '' if image.class_name else f'; {len(image.boxes)} boxes'
  try:
    encoded = _read_first(image, decoder)
  except errors.DataError as error:
    kind = 'unreadable_image'
    if isinstance(error, image_reader.UnknownFormatError):
      kind = 'unknown_format'
    reason = str(error).splitlines()[0]
    report.add(kind, image.file_name, f'{reason}{lost}')
    return None
  if encoded is None:
    report.add('missing_image', image.file_name, f'{image.path}{lost}')
  return encoded


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
