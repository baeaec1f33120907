"""Images through a detector: read ahead, batch, and go on after a bad one."""

import collections
from concurrent import futures
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional

import numpy as np

from executor.inference import decoding, sources
from executor.predictors import predictor as predictor_lib
from utils import errors

_NUM_THREADS = 2


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
  """An image that could not be read, and why."""

  name: str
  reason: str


def run(
  items: Iterable[sources.Item],
  predictor: predictor_lib.Predictor,
  batch_size: int,
  on_result: Callable[[Result], None],
  on_failure: Callable[[Failure], None],
) -> None:
  """Detects objects in all images.

  Images are decoded in threads while the model works; at most two batches wait.

  Args:
    items: what to read; consumed as it is needed.
    predictor: the detector.
    batch_size: images that go through it at once.
    on_result: called for each image that could be read, in order.
    on_failure: called for each that could not.
  """
  batch: List[sources.Item] = []
  pictures: List[decoding.Picture] = []

  def predict():
    found = predictor.predict([picture.pixels for picture in pictures])
    for item, picture, detections in zip(batch, pictures, found):
      on_result(
        Result(
          item.name, item.image_id, picture.pixels, detections, picture.note
        )
      )
    batch.clear()
    pictures.clear()

  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    for item, future in _read_ahead(items, pool, 2 * batch_size):
      try:
        picture = future.result()
      except errors.DataError as error:
        on_failure(Failure(item.name, str(error)))
        continue
      batch.append(item)
      pictures.append(picture)
      if len(batch) == batch_size:
        predict()
    if batch:
      predict()


def _read_ahead(
  items: Iterable[sources.Item], pool: futures.Executor, count: int
) -> Iterator:
  """Yields (item, future of its picture) with up to `count` under way."""
  waiting = collections.deque()
  for item in items:
    waiting.append((item, pool.submit(item.read)))
    if len(waiting) > count:
      yield waiting.popleft()
  while waiting:
    yield waiting.popleft()
