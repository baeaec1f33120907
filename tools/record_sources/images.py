"""Image files as the bytes of a record."""

import concurrent.futures
import itertools
from typing import Iterable, Iterator, Optional, Tuple

import tensorflow.compat.v1 as tf

from dataloader import image_reader
from tools.record_sources import annotations
from tools.record_sources import report as report_lib
from utils import errors

# Images that are read ahead; bounds the memory.
_CHUNK = 64
_NUM_THREADS = 4
MAX_PIXELS = 2**28


def readable_images(
  images: Iterable[annotations.AnnotatedImage], report: report_lib.Report
) -> Iterator[Tuple[annotations.AnnotatedImage, image_reader.Encoded]]:
  """Yields the images that can be read, in order; reports the others."""
  remaining = iter(images)
  decoder = image_reader.Decoder(MAX_PIXELS)
  with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    while True:
      chunk = list(itertools.islice(remaining, _CHUNK))
      if not chunk:
        return
      for image, read in zip(
        chunk, [pool.submit(_read_image, image, decoder) for image in chunk]
      ):
        lost = '' if image.class_name else f'; {len(image.boxes)} boxes'
        try:
          encoded = read.result()
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


def _read_image(
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
