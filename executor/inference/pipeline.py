"""Images through a detector: read ahead, batch, and go on after a bad one."""

import collections
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
)

import numpy as np

from executor.inference import decoding, sources
from executor.predictors import predictor as predictor_lib
from utils import errors

_NUM_THREADS = 2
# 400 MB: what a batch and the images that wait hold, unless one is larger.
_MAX_PIXELS_HELD = 2**27

# With the number of pixels as the header has it.
_Batch = List[Tuple[sources.Item, int, decoding.Picture]]


class Result(NamedTuple):
  """What was found in one image.

  Attributes:
    name: of the image.
    image_id: as its source gives it, if it does.
    pixels: uint8 [height, width, 3], RGB.
    detections: boxes in pixels of this image.
    note: about its decoding, or ''.
  """

  name: str
  image_id: Optional[int]
  pixels: np.ndarray
  detections: predictor_lib.Detections
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
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    for batch in _batches(items, pool, batch_size, on_failure):
      if should_stop():
        return
      found = predictor.predict([picture.pixels for *_, picture in batch])
      for (item, _, picture), detections in zip(batch, found):
        if _is_finite(detections):
          on_result(
            Result(
              item.name,
              item.image_id,
              picture.pixels,
              detections,
              picture.note,
            )
          )
        else:
          on_failure(
            Failure(
              item.name,
              'the model gave numbers that are not finite, as one whose '
              'training has diverged',
            )
          )


def _is_finite(detections: predictor_lib.Detections) -> bool:
  return bool(
    np.isfinite(detections.boxes).all() and np.isfinite(detections.scores).all()
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
  while True:
    reader.read_ahead()
    if batch and (len(batch) == batch_size or not reader.decoding):
      yield batch
      reader.num_pixels -= sum(num_pixels for _, num_pixels, _ in batch)
      batch = []
    elif reader.decoding:
      item, num_pixels, picture = reader.decoding.popleft()
      try:
        batch.append((item, num_pixels, picture.result()))
      except errors.DataError as error:
        reader.num_pixels -= num_pixels
        on_failure(Failure(item.name, str(error)))
    elif not reader.opening:
      return


class _Reader:
  """Images on their way: first their headers are read, then their pixels.

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
    self.opening: Deque = collections.deque()
    self.decoding: Deque = collections.deque()
    self.num_pixels = 0

  def read_ahead(self) -> None:
    """Starts what there is room for; waits only if nothing is under way."""
    while True:
      self._open_more()
      if not self.opening or len(self.decoding) >= self._count:
        return
      item, header = self.opening[0]
      if self.decoding and not header.done():
        return
      try:
        opened = header.result()
      except errors.DataError as error:
        self.opening.popleft()
        self._decode(item, 0, lambda error=error: _raise(error))
        continue
      if (
        self.num_pixels
        and self.num_pixels + opened.num_pixels > _MAX_PIXELS_HELD
      ):
        return
      self.opening.popleft()
      self._decode(item, opened.num_pixels, opened.decode)

  def _open_more(self) -> None:
    while len(self.opening) + len(self.decoding) < self._count:
      item = next(self._items, None)
      if item is None:
        return
      self.opening.append((item, self._pool.submit(item.open)))

  def _decode(self, item, num_pixels: int, decode) -> None:
    self.num_pixels += num_pixels
    self.decoding.append((item, num_pixels, self._pool.submit(decode)))


def _raise(error: Exception) -> None:
  raise error
