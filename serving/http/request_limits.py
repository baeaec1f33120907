"""What one server takes at most, and how a request is turned down."""

import contextlib
from typing import Dict, Iterator, NamedTuple, Optional

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
  """A request that is not answered.

  Args:
    status: of HTTP.
    message: tells the client what to do.
    headers: of the answer.
  """

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
    self.capacity = capacity
    self.taken = 0

  @contextlib.contextmanager
  def take(self, count: int) -> Iterator['Share']:
    """Takes slots until the context ends; errors as those of `Share.add`."""
    share = Share(self)
    share.add(count)
    try:
      yield share
    finally:
      self.taken -= share.size


class Share:
  """The slots of one request.

  Args:
    slots: all there are.

  Attributes:
    size: how many.
  """

  def __init__(self, slots: Slots):
    self._slots = slots
    self.size = 0

  def add(self, count: int) -> None:
    """Takes more of them.

    Raises:
      RequestError: 503, so many are not free now, or 400, there never are.
    """
    slots = self._slots
    if self.size + count > slots.capacity:
      raise RequestError(
        400,
        'The request holds {} images; the server takes at most {} at one '
        'time. Send them in several requests.'.format(
          self.size + count, slots.capacity
        ),
      )
    if slots.taken + count > slots.capacity:
      raise RequestError(
        503,
        'The server is busy: {} of {} places are taken. Try again in a '
        'second.'.format(slots.taken, slots.capacity),
        {'Retry-After': '1'},
      )
    slots.taken += count
    self.size += count
