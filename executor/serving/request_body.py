"""Reads the body of a request within bounds."""

import asyncio
import contextlib
import zlib
from typing import Optional

from starlette.requests import Request

from executor.serving.limits import Limits, RequestError

# For zlib: a header of gzip comes first.
_GZIP = 31
# How much of a body that is not used is taken: in seconds, and in multiples of
# the largest that would be.
_DISCARD_TIMEOUT = 20.0
_DISCARDED_BODIES = 8


async def read(request: Request, limits: Limits) -> bytes:
  """Returns the body, unpacked if it is compressed by gzip.

  Raises:
    RequestError: 413, it is too large; 408, it came too slowly; 400 or 415, it
      cannot be unpacked.
    ClientDisconnect: the client hung up.
  """
  declared = request.headers.get('content-length', '')
  if declared.isdigit() and int(declared) > limits.max_body:
    await discard(request, limits)
    raise _too_large(limits)
  try:
    body = await asyncio.wait_for(
      _receive(request, limits), limits.body_timeout
    )
  except asyncio.TimeoutError as error:
    raise RequestError(
      408,
      'The body did not arrive within {:g} seconds.'.format(
        limits.body_timeout
      ),
      {'Connection': 'close'},
    ) from error
  if body is None:
    await discard(request, limits)
    raise _too_large(limits)
  encoding = request.headers.get('content-encoding', 'identity')
  if encoding == 'identity':
    return body
  if encoding != 'gzip':
    raise RequestError(
      415,
      'Content-Encoding: {} is not read; gzip is, and none.'.format(encoding),
    )
  return _unpack(body, limits)


async def discard(request: Request, limits: Limits) -> None:
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


async def _receive(request: Request, limits: Limits) -> Optional[bytes]:
  """Returns the body; None if it is too large, its rest left unread."""
  parts = bytearray()
  async for part in request.stream():
    parts += part
    if len(parts) > limits.max_body:
      return None
  return bytes(parts)


def _unpack(body: bytes, limits: Limits) -> bytes:
  decompressor = zlib.decompressobj(_GZIP)
  try:
    unpacked = decompressor.decompress(body, limits.max_body + 1)
  except zlib.error as error:
    raise RequestError(
      400, 'The body is not gzip, as Content-Encoding says: {}.'.format(error)
    ) from error
  if len(unpacked) > limits.max_body:
    raise _too_large(limits)
  if not decompressor.eof:
    raise RequestError(400, 'The gzip stream of the body is cut off.')
  return unpacked


def _too_large(limits: Limits) -> RequestError:
  return RequestError(
    413,
    'The body is too large: the server takes at most {:,} bytes. Send fewer '
    'or smaller images at a time.'.format(limits.max_body),
  )
