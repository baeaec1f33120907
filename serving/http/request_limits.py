"""Limits of a server, and refusals of requests."""

import contextlib
from typing import Callable, Dict, Iterator, NamedTuple, Optional

from utils import errors


class Limits(NamedTuple):
  """Bounds on memory and time.

  Attributes:
    max_batch_size: images that go through the model at once; a model of a
      fixed batch size takes that many.
    max_delay: seconds that the first image of a batch waits for others.
    max_queue: images that may be waiting or worked on at one time.
    max_body: bytes of one request.
    max_image_pixels: height x width of one encoded image.
    body_timeout: seconds in which the body of a request must have come.
  """

  max_batch_size: int = 8
  max_delay: float = 0.005
  max_queue: int = 64
  max_body: int = 32 * 2**20
  max_image_pixels: int = 50000000
  body_timeout: float = 60.0


class RequestError(errors.UserError):
  """A request that is not answered: status, message and headers of HTTP."""

  def __init__(
    self, status: int, message: str, headers: Optional[Dict[str, str]] = None
  ):
    super().__init__(message)
    self.status = status
    self.headers = headers or {}


class Slots:
  """Counts the images in the server; not for use by several threads.

  Args:
    capacity: how many there may be.

  Attributes:
    taken: how many there are.
  """

  def __init__(self, capacity: int):
    self._capacity = capacity
    self.taken = 0

  @contextlib.contextmanager
  def request(self) -> Iterator[Callable[[int], None]]:
    """Gives a function that takes slots, which are free again at the end.

    It raises RequestError: 503, so many are not free now, or 400, there never
    are.
    """
    held = 0

    def take(count: int) -> None:
      nonlocal held
      if held + count > self._capacity:
        raise RequestError(
          400,
          f'The request holds {held + count} images; the server takes at most '
          f'{self._capacity} at one time. Send them in several requests.',
        )
      if self.taken + count > self._capacity:
        raise RequestError(
          503,
          f'The server is busy: {self.taken} of {self._capacity} places are '
          'taken. Try again in a second.',
          {'Retry-After': '1'},
        )
      held += count
      self.taken += count

    try:
      yield take
    finally:
      self.taken -= held
