"""Pipeline of images through a detector."""

import collections
import contextlib
import functools
import logging
import threading
from concurrent import futures
from typing import (
  Any,
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
from utils import errors, mask_utils

_log = logging.getLogger(__name__)

# One reads, the others decode.
_NUM_THREADS = 3
# 400 MB: what a batch and the images that wait hold, unless one is larger.
_MAX_PIXELS_HELD = 2**27

_Batch = List[Tuple[sources.Item, image_reader.Picture]]


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

  def pasted_masks(self) -> Optional[List[mask_utils.MaskWindow]]:
    """Returns the masks as pixels of this image; None without."""
    return self.detections.pasted_masks(*self.pixels.shape[:2])


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
      found = _predict(predictor, [picture.pixels for _, picture in batch])
      for (item, picture), detections in zip(batch, found):
        if isinstance(detections, Exception):
          on_failure(Failure(item.name, reason(detections)))
        else:
          on_result(
            Result(item.name, item.image_id, picture[0], detections, picture[1])
          )


def reason(error: Exception) -> str:
  """Why an image cannot be used, in a line."""
  if isinstance(error, errors.DataError):
    return str(error)
  if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
    return 'out of memory'
  _log.debug('An image cannot be used.', exc_info=error)
  first_line = str(error).partition('\n')[0]
  return f'{type(error).__name__}: {first_line}'


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
  batch: _Batch = []
  held = 0
  with contextlib.closing(_Reader(items, pool, 2 * batch_size)) as reader:
    while True:
      next_one = reader.next(has_batch=bool(batch))
      if next_one is not None:
        item, num_pixels, picture = next_one
        try:
          batch.append((item, picture.result()))
          held += num_pixels
        except Exception as error:  # Whatever one file does.
          reader.free(num_pixels)
          on_failure(Failure(item.name, reason(error)))
      elif not batch:
        return
      if batch and (next_one is None or len(batch) == batch_size):
        yield batch
        reader.free(held)
        batch, held = [], 0


class _Reader:
  """Reads headers in a thread, and has images decoded as there is room.

  Args:
    items: the images.
    pool: runs this reader, too.
    count: images that may be decoded before they are asked for.
  """

  def __init__(
    self, items: Iterable[sources.Item], pool: futures.Executor, count: int
  ):
    self._pool = pool
    self._count = count
    self._changed = threading.Condition()
    # All below is for who holds that.
    self._ahead: Deque = collections.deque()
    self._num_pixels = 0
    self._has_room = True
    self._is_closed = False
    self._reading = pool.submit(self._read, items)
    self._reading.add_done_callback(lambda _: self.free(0))

  def next(self, has_batch: bool) -> Any:
    """Waits for the next image: item, number of pixels, future of its picture.

    Returns:
      None at the end, or if there is no room before the batch is done.
    """
    with self._changed:
      self._changed.wait_for(
        lambda: (
          self._ahead
          or self._reading.done()
          or (has_batch and not self._has_room)
        )
      )
      if self._ahead:
        self._changed.notify_all()
        return self._ahead.popleft()
    if self._reading.done():
      self._reading.result()
    return None

  def free(self, num_pixels: int) -> None:
    """Makes room."""
    with self._changed:
      self._num_pixels -= num_pixels
      self._changed.notify_all()

  def close(self) -> None:
    """Starts nothing any more."""
    with self._changed:
      self._is_closed = True
      self._changed.notify_all()

  def _read(self, items: Iterable[sources.Item]) -> None:
    for item in items:
      try:
        opened = item.open()
        num_pixels, decode = opened.num_pixels, opened.decode
      except Exception as error:  # Whatever one file does.
        num_pixels, decode = 0, functools.partial(_fail, error)
      with self._changed:
        self._changed.wait_for(lambda n=num_pixels: self._may_decode(n))
        if self._is_closed:
          return
        self._num_pixels += num_pixels
        self._ahead.append((item, num_pixels, self._pool.submit(decode)))
        self._changed.notify_all()

  def _may_decode(self, num_pixels: int) -> bool:
    held = self._num_pixels
    self._has_room = not held or held + num_pixels <= _MAX_PIXELS_HELD
    if not self._has_room:
      self._changed.notify_all()
    return self._is_closed or (
      self._has_room and len(self._ahead) < self._count
    )


def _fail(error: Exception) -> None:
  raise error
