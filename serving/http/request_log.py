"""One log line a request."""

import logging
import time
from typing import Any, Awaitable, Callable, Dict

_log = logging.getLogger(__name__)


class RequestLog:
  """ASGI application around another.

  Args:
    app: the other.
  """

  def __init__(self, app: Callable[..., Awaitable[None]]):
    self._app = app

  async def __call__(self, scope: Dict[str, Any], receive: Any, send: Any):
    if scope['type'] != 'http':
      await self._app(scope, receive, send)
      return
    start = time.monotonic()
    status = 0

    async def noting(message: Dict[str, Any]) -> None:
      nonlocal status
      status = message.get('status', status)
      await send(message)

    try:
      await self._app(scope, receive, noting)
    finally:
      client = (scope.get('client') or ('-',))[0]
      _log.info(
        '%s %s %s %d %.0f ms',
        client,
        scope['method'],
        # As it was sent: a decoded path may hold line breaks.
        scope['raw_path'].decode('ascii', 'backslashreplace'),
        status,
        1000 * (time.monotonic() - start),
      )
