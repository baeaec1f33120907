"""Images through a detector: read ahead, batch, and go on after a bad one."""

import collections
import contextlib
import logging
import threading
from concurrent import futures
from typing import (
  Callable,
  Deque,
  Iterable,
  Iterator,
  List,
  NamedTuple,
  Optional,
  Tuple,
  Union,
)

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import image_reader
from serving.inference import sources
from serving.predictors import predictor as predictor_lib
from utils import errors

_log = logging.getLogger(__name__)

_NUM_THREADS = 2
# 400 MB: what a batch and the images that wait hold, unless one is larger.
_MAX_PIXELS_HELD = 2**27

# With the number of pixels as the header has it.
_Batch = List[Tuple[sources.Item, int, image_reader.Picture]]


class Result(NamedTuple):
  """What was found in one image.

  Attributes:
    name: of the image.
    image_id: as its source gives it, if it does.
    pixels: uint8 [height, width, 3], RGB.
    detections: boxes in pixels of this image, and within it.
    note: about its decoding, or ''.
  """

  name: str
  image_id: Optional[int]
  pixels: np.ndarray
  detections: predictor_lib.ImageDetections
  note: str


class Failure(NamedTuple):
  """An image that could not be used, and why."""

  name: str
  reason: str


def run(
  items: Iterable[sources.Item],
  predictor: predictor_lib.Predictor,
  batch_size: int,
  on_result: Callable[[Result], None],
  on_failure: Callable[[Failure], None],
  should_stop: Callable[[], bool] = lambda: False,
) -> None:
  """Detects objects in all images.

  Images are decoded in threads while the model works. Large ones make batches
  smaller, so that memory is bounded.

  Args:
    items: what to read; consumed as it is needed.
    predictor: the detector.
    batch_size: images that go through it at once.
    on_result: called for each image that could be used, in order.
    on_failure: called for each that could not.
    should_stop: asked before each batch.
  """
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool, contextlib.closing(
    _batches(items, pool, batch_size, on_failure)
  ) as batches:
    for batch in batches:
      if should_stop():
        return
      found = _predict(predictor, [picture.pixels for *_, picture in batch])
      for (item, _, picture), detections in zip(batch, found):
        if isinstance(detections, Exception):
          on_failure(Failure(item.name, reason(detections)))
        else:
          on_result(
            Result(
              item.name,
              item.image_id,
              picture.pixels,
              detections,
              picture.note,
            )
          )


def reason(error: Exception) -> str:
  """Why an image cannot be used, in a line."""
  if isinstance(error, errors.DataError):
    return str(error)
  if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
    return 'out of memory'
  _log.debug('An image cannot be used.', exc_info=error)
  first_line = str(error).partition('\n')[0]
  return '{}: {}'.format(type(error).__name__, first_line)


def _predict(
  predictor: predictor_lib.Predictor, images: List[np.ndarray]
) -> List[Union[predictor_lib.ImageDetections, Exception]]:
  """Detections of each image, or its error, which spoils no other image."""
  try:
    return [
      _usable(found, *image.shape[:2])
      for found, image in zip(predictor.predict(images), images)
    ]
  except Exception as error:
    if len(images) == 1:
      return [error]
  return [_predict(predictor, [image])[0] for image in images]


def _usable(
  detections: predictor_lib.ImageDetections, height: int, width: int
) -> Union[predictor_lib.ImageDetections, errors.DataError]:
  if detections.is_finite():
    return detections.clipped_to(height, width)
  return errors.DataError(
    'the model gave numbers that are not finite, as one whose training has '
    'diverged'
  )


def _batches(
  items: Iterable[sources.Item],
  pool: futures.Executor,
  batch_size: int,
  on_failure: Callable[[Failure], None],
) -> Iterator[_Batch]:
  """Yields batches; what is ahead is decoded while one of them is used."""
  reader = _Reader(items, pool, 2 * batch_size)
  batch: _Batch = []
  with contextlib.closing(reader):
    while True:
      reader.read_ahead()
      if batch and (len(batch) == batch_size or not reader.decoding):
        yield batch
        reader.free(sum(num_pixels for _, num_pixels, _ in batch))
        batch = []
      elif reader.decoding:
        item, num_pixels, picture = reader.decoding.popleft()
        try:
          batch.append((item, num_pixels, picture.result()))
        except Exception as error:  # Whatever one file does.
          reader.free(num_pixels)
          on_failure(Failure(item.name, reason(error)))
      else:
        return


class _Reader:
  """Images on their way: first their headers are read, then their pixels.

  An image is decoded once there is room for its pixels, in the thread that
  read its header or, if room was made later, when `read_ahead` is called.

  Attributes:
    opening: (item, future of its header), in order.
    decoding: (item, number of pixels, future of its picture), in order.
    num_pixels: of all images that are being decoded, wait or are in use.
  """

  def __init__(
    self, items: Iterable[sources.Item], pool: futures.Executor, count: int
  ):
    self._items = iter(items)
    self._pool = pool
    self._count = count
    self._lock = threading.RLock()
    self._is_closed = False
    self.opening: Deque = collections.deque()
    self.decoding: Deque = collections.deque()
    self.num_pixels = 0

  def read_ahead(self) -> None:
    """Starts what there is room for; waits only if nothing is under way."""
    while len(self.opening) + len(self.decoding) < self._count:
      item = next(self._items, None)
      if item is None:
        break
      header = self._pool.submit(item.open)
      self.opening.append((item, header))
      header.add_done_callback(self._decode_next)
    self._decode_next()
    while self.opening and not self.decoding:
      futures.wait([self.opening[0][1]])
      self._decode_next()
      if not self.decoding:
        return  # There is no room until the batch is done.

  def free(self, num_pixels: int) -> None:
    """Makes room."""
    with self._lock:
      self.num_pixels -= num_pixels

  def close(self) -> None:
    """Starts nothing any more."""
    with self._lock:
      self._is_closed = True

  def _decode_next(self, header=None) -> None:
    """Decodes what is next, as far as its header is read and there is room."""
    del header  # The one that is read may not be that of the next image.
    with self._lock:
      while self.opening and self.opening[0][1].done() and not self._is_closed:
        item, header = self.opening[0]
        if header.exception():
          self._move(item, 0, header)
          continue
        opened = header.result()
        held = self.num_pixels
        if held and held + opened.num_pixels > _MAX_PIXELS_HELD:
          return
        self.num_pixels += opened.num_pixels
        self._move(item, opened.num_pixels, self._pool.submit(opened.decode))

  def _move(self, item, num_pixels: int, picture: futures.Future) -> None:
    # In this order, since the other thread reads the lengths without the lock.
    self.decoding.append((item, num_pixels, picture))
    self.opening.popleft()
