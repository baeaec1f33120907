"""Connection over which a request has to begin in time."""

import asyncio
from typing import Any, Optional

import h11
from uvicorn.protocols.http import h11_impl


class TimedConnection(h11_impl.H11Protocol):
  """Closes where headers do not come within a set time.

  uvicorn has a timeout for connections on which nothing comes after an answer,
  but none for a first request, nor for headers that come slowly.

  Args:
    header_timeout: seconds from the connection, or from the first byte of a
      later request, to the end of its headers.
    **kwargs: of uvicorn.
  """

  def __init__(self, header_timeout: float, **kwargs: Any):
    super().__init__(**kwargs)
    self._header_timeout = header_timeout
    self._timer: Optional[asyncio.TimerHandle] = None

  def connection_made(self, transport: asyncio.Transport) -> None:
    super().connection_made(transport)
    self._start_timer()

  def data_received(self, data: bytes) -> None:
    try:
      super().data_received(data)
    except ValueError:  # h11 takes a Content-Length of any number of digits.
      self.send_400_response('Invalid HTTP request received.')
      return
    if self.conn.their_state is not h11.IDLE:
      self._stop_timer()
    elif self._timer is None:
      self._start_timer()

  def send_400_response(self, msg: str) -> None:
    """Says that what came is no HTTP, unless it comes behind an answer."""
    if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
      super().send_400_response(msg)
    self.transport.close()
    if self.cycle is not None:
      # What the application has to say does not fit behind it.
      self.cycle.disconnected = True
      self.cycle.message_event.set()

  def connection_lost(self, exc: Optional[Exception]) -> None:
    self._stop_timer()
    super().connection_lost(exc)

  def _start_timer(self) -> None:
    self._timer = self.loop.call_later(
      self._header_timeout, self.timeout_keep_alive_handler
    )

  def _stop_timer(self) -> None:
    if self._timer is not None:
      self._timer.cancel()
      self._timer = None
