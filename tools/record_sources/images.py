"""Reads image files as the bytes that a record holds."""

import concurrent.futures
import io
import itertools
from typing import Iterable, Iterator, NamedTuple, Tuple

import tensorflow.compat.v1 as tf
from PIL import Image

from tools.record_sources import annotations
from tools.record_sources import report as report_lib

# Images that are read ahead; bounds the memory.
_CHUNK = 64
_NUM_THREADS = 4

# What PIL raises for damaged files, depending on the format.
_DECODE_ERRORS = (
  OSError,
  SyntaxError,
  ValueError,
  Image.DecompressionBombError,
)


class EncodedImage(NamedTuple):
  """The encoded bytes of an image, and its true size in pixels."""

  data: bytes
  format: str  # 'JPEG' or 'PNG'
  width: int
  height: int
  original_format: str = ''  # not empty: was re-encoded from this


def read_image(path: str) -> EncodedImage:
  """Reads and decodes an image file.

  JPEG (grey or RGB) and PNG bytes are returned as they are. All else becomes an
  RGB PNG; of an animation, the first frame.

  Raises:
    tf.errors.NotFoundError: there is no such file.
    errors in `_DECODE_ERRORS`: the file is no complete image.
  """
  with tf.io.gfile.GFile(path, 'rb') as source:
    data = source.read()
  with Image.open(io.BytesIO(data)) as image:
    image.load()
    width, height = image.size
    # Cameras write stereo JPEGs as MPO, which starts as a plain JPEG.
    is_jpeg = image.format in ('JPEG', 'MPO')
    if is_jpeg and image.mode in ('L', 'RGB'):
      return EncodedImage(data, 'JPEG', width, height)
    if image.format == 'PNG' and not getattr(image, 'is_animated', False):
      return EncodedImage(data, 'PNG', width, height)
    png = io.BytesIO()
    image.convert('RGB').save(png, 'PNG')
    original = '{} {}'.format(image.format, image.mode)
  return EncodedImage(png.getvalue(), 'PNG', width, height, original)


def readable_images(
  images: Iterable[annotations.AnnotatedImage], report: report_lib.Report
) -> Iterator[Tuple[annotations.AnnotatedImage, EncodedImage]]:
  """Yields the images that can be read, in order; reports the others."""
  remaining = iter(images)
  with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    while True:
      chunk = list(itertools.islice(remaining, _CHUNK))
      if not chunk:
        return
      for image, read in zip(
        chunk, [pool.submit(read_image, i.path) for i in chunk]
      ):
        lost = '{} boxes'.format(len(image.boxes))
        try:
          encoded = read.result()
        except tf.errors.NotFoundError:
          report.add('missing_image', image.file_name, lost)
          continue
        except (tf.errors.OpError, *_DECODE_ERRORS) as error:
          reason = str(error).splitlines()[0]
          report.add(
            'unreadable_image', image.file_name, '{}; {}'.format(reason, lost)
          )
          continue
        if encoded.original_format:
          report.add('re_encoded', image.file_name, encoded.original_format)
        yield image, encoded
