"""Reads the body of a request within bounds."""

import asyncio
import zlib

from starlette.requests import Request

from executor.serving.limits import Limits, RequestError

# For zlib: a header of gzip comes first.
_GZIP = 31


async def read(request: Request, limits: Limits) -> bytes:
  """Returns the body, unpacked if it is compressed by gzip.

  Raises:
    RequestError: 413, it is too large; 408, it came too slowly; 400 or 415, it
      cannot be unpacked.
    ClientDisconnect: the client hung up.
  """
  declared = request.headers.get('content-length', '')
  if declared.isdigit() and int(declared) > limits.max_body:
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
  encoding = request.headers.get('content-encoding', 'identity')
  if encoding == 'identity':
    return body
  if encoding != 'gzip':
    raise RequestError(
      415,
      'Content-Encoding: {} is not read; gzip is, and none.'.format(encoding),
    )
  return _unpack(body, limits)


async def _receive(request: Request, limits: Limits) -> bytes:
  parts = bytearray()
  async for part in request.stream():
    parts += part
    if len(parts) > limits.max_body:
      raise _too_large(limits)
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
