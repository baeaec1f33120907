"""Body of a request, read within bounds."""

import asyncio
import contextlib
import zlib
from typing import Dict, NamedTuple, Optional

from starlette.requests import Request

from serving.http.request_limits import Limits, RequestError

# For zlib: a header of gzip comes first.
_GZIP = 31
# How much of a body that is not used is taken: in seconds, and in multiples of
# the largest that would be.
_DISCARD_TIMEOUT = 20.0
_DISCARDED_BODIES = 8
# How many of the largest may be in memory before they have come wholly.
_ARRIVING_BODIES = 16


class Body(NamedTuple):
  """A body as it came.

  Attributes:
    data: its bytes.
    is_packed: whether they are packed by gzip.
  """

  data: bytes
  is_packed: bool

  def unpack(self, limits: Limits) -> bytes:
    """Returns what was packed.

    Raises:
      RequestError: 413, it is too large; 400, it cannot be unpacked.
    """
    if not self.is_packed:
      return self.data
    decompressor = zlib.decompressobj(_GZIP)
    try:
      unpacked = decompressor.decompress(self.data, limits.max_body + 1)
    except zlib.error as error:
      raise RequestError(
        400, f'The body is not gzip, as Content-Encoding says: {error}.'
      ) from error
    if len(unpacked) > limits.max_body:
      raise _too_large(limits)
    if not decompressor.eof:
      raise RequestError(400, 'The gzip stream of the body is cut off.')
    return unpacked


class Arrivals:
  """Receives bodies, as many at a time as memory holds.

  Where they need too much of it, the one that has been on its way for the
  longest is given up: slow bodies are in nobody's way.

  Args:
    limits: of the server.
  """

  def __init__(self, limits: Limits):
    self._limits = limits
    # Oldest first.
    self._arriving: Dict[object, bytearray] = {}

  async def read(self, request: Request) -> Body:
    """Returns the body of a request.

    Raises:
      RequestError: 413, it is too large; 408, it came too slowly; 503, there
        was no memory for it; 415, it is packed otherwise than by gzip.
      ClientDisconnect: the client hung up.
    """
    limits = self._limits
    encoding = request.headers.get('content-encoding', 'identity').lower()
    declared = request.headers.get('content-length', '')
    data = None
    if not declared.isdigit() or int(declared) <= limits.max_body:
      try:
        data = await asyncio.wait_for(
          self._receive(request), limits.body_timeout
        )
      except asyncio.TimeoutError as error:
        raise RequestError(
          408,
          f'The body did not arrive within {limits.body_timeout:g} seconds.',
          {'Connection': 'close'},
        ) from error
    if data is None:
      await _discard(request, limits)
      raise _too_large(limits)
    if encoding not in ('identity', 'gzip'):
      raise RequestError(
        415, f'Content-Encoding: {encoding:.40} is not read; gzip is, and none.'
      )
    return Body(data, encoding == 'gzip')

  async def _receive(self, request: Request) -> Optional[bytes]:
    """Returns the body; None if it is too large, its rest left unread."""
    key = object()
    body = self._arriving[key] = bytearray()
    try:
      async for part in request.stream():
        body += part
        if len(body) > self._limits.max_body:
          return None
        self._make_room()
        if key not in self._arriving:
          break
      if key not in self._arriving:
        raise RequestError(
          503,
          'The server is busy, and the body came slowly. Try again later.',
          {'Connection': 'close', 'Retry-After': '1'},
        )
      return bytes(body)
    finally:
      self._arriving.pop(key, None)

  def _make_room(self) -> None:
    capacity = _ARRIVING_BODIES * self._limits.max_body
    while sum(map(len, self._arriving.values())) > capacity:
      # Its request learns of it when its next part comes.
      self._arriving.pop(next(iter(self._arriving))).clear()


async def _discard(request: Request, limits: Limits) -> None:
  """Takes a body that will not be used, so that the answer is read.

  Most clients send all of it before they look at the answer, and see nothing
  but a broken connection where the server does not wait for them. It does so
  for a while.
  """
  if 'expect' in request.headers:
    # This one asks before it sends.
    return
  with contextlib.suppress(asyncio.TimeoutError):
    await asyncio.wait_for(_drain(request, limits), _DISCARD_TIMEOUT)


async def _drain(request: Request, limits: Limits) -> None:
  size = 0
  async for part in request.stream():
    size += len(part)
    if size > _DISCARDED_BODIES * limits.max_body:
      return


def _too_large(limits: Limits) -> RequestError:
  return RequestError(
    413,
    f'The body is too large: the server takes at most {limits.max_body:,} '
    'bytes. Send fewer or smaller images at a time.',
  )
