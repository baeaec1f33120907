"""Image files as the bytes of a record."""

import collections
import concurrent.futures
import functools
import os
from typing import Callable, Iterator, Optional, Sequence, TypeVar

import tensorflow.compat.v1 as tf

from dataloader import image_reader
from tools.record_sources import annotations
from tools.record_sources import report as report_lib
from utils import errors

# Images that are read ahead; bounds the memory.
_NUM_AHEAD = 64
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
  work: Callable[[_Item], _Result], items: Sequence[_Item]
) -> Iterator[_Result]:
  """Yields what `work` makes of each item, in order, by threads."""
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
  """Returns what a record holds of an image; None, reported, if unreadable.

  Takes the first of the image's paths that exists.
  """
  lost = '' if image.class_name else f'; {len(image.boxes)} boxes'
  for path in (image.path, *image.other_paths):
    try:
      with tf.io.gfile.GFile(path, 'rb') as source:
        content = source.read()
      return decoder.encode_for_record(content)
    except tf.errors.NotFoundError:
      continue
    except (errors.DataError, tf.errors.OpError) as error:
      is_unknown = isinstance(error, image_reader.UnknownFormatError)
      kind = 'unknown_format' if is_unknown else 'unreadable_image'
      reason = str(error).splitlines()[0]
      report.add(kind, image.file_name, f'{reason}{lost}')
      return None
  report.add('missing_image', image.file_name, f'{image.path}{lost}')
  return None
