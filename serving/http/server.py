"""Server process: sockets and signals."""

import errno
import functools
import logging
import os
import socket
import threading
import time
from typing import Any, Awaitable, Callable, Dict, List, Optional

import uvicorn

from serving.http import app as app_lib
from serving.http import connection, served_model
from serving.http.request_limits import Limits
from utils import errors

_log = logging.getLogger(__name__)

# Seconds for the headers of a request, where less is not allowed for its body.
_HEADER_TIMEOUT = 10.0
# What runs is finished after a first signal, but not forever: requests are
# dropped after so many seconds, and whatever still runs later.
_PATIENCE = 8
_LAST_PATIENCE = 12


def bind(host: str, port: int) -> socket.socket:
  """Takes an address, without listening yet.

  Args:
    host: name or address of this machine.
    port: 0 for any that is free.

  Raises:
    UserError: it cannot be had.
  """
  try:
    family, kind, protocol, _, address = socket.getaddrinfo(
      host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
  except OSError as error:
    advice = (
      'Stop the program that has this port, or give another one; --port=0 '
      'takes any that is free.'
    )
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
      advice = (
        'Give a name or an address of this machine; 0.0.0.0 stands for all of '
        'them.'
      )
    raise errors.UserError(
      f'--host={host} --port={port} cannot be served: {error.strerror}. '
      f'{advice}'
    ) from error
  return bound


class _Server(uvicorn.Server):
  """Says when it listens, and ends for certain after a signal."""

  def __init__(self, config: uvicorn.Config, announcement: str):
    super().__init__(config)
    self._announcement = announcement

  async def startup(self, sockets: Optional[List[socket.socket]] = None):
    await super().startup(sockets)
    _log.info('%s', self._announcement)

  def handle_exit(self, sig: int, frame: Any) -> None:
    if not self.should_exit:
      # Threads may be inside of a library, which nothing else ends.
      timer = threading.Timer(_LAST_PATIENCE, os._exit, [128 + sig])
      timer.daemon = True
      timer.start()
    super().handle_exit(sig, frame)


def _logged(app: Callable[..., Awaitable[None]]) -> Any:
  """ASGI application around another, which logs a line a request."""

  async def logged(scope: Dict[str, Any], receive: Any, send: Any) -> None:
    start = time.monotonic()
    status = 0

    async def noting(message: Dict[str, Any]) -> None:
      nonlocal status
      status = message.get('status', status)
      await send(message)

    try:
      await app(scope, receive, noting)
    finally:
      _log.info(
        '%s %s %s %d %.0f ms',
        (scope.get('client') or ('-',))[0],
        scope.get('method', scope['type']),
        # As it was sent: a decoded path may hold line breaks.
        scope['raw_path'].decode('ascii', 'backslashreplace'),
        status,
        1000 * (time.monotonic() - start),
      )

  return logged


def serve(
  location: served_model.Location,
  bound: socket.socket,
  limits: Limits,
  format_name: Optional[str] = None,
  variant: str = '',
) -> None:
  """Loads a model, runs it once, and answers requests until SIGINT or SIGTERM.

  Then no new connection is taken, and what is in work is finished within
  seconds; a second SIGINT does not wait for it.

  Args:
    location: of the model.
    bound: socket of `bind`.
    limits: of the server.
    format_name: which format of the export; see `exported.load`.
    variant: of the format.

  Raises:
    UserError: the model cannot be loaded.
  """
  model = served_model.ServedModel(location.directory, format_name, variant)
  model.warm_up()
  detection_app = app_lib.DetectionApp(location, model, limits)
  host, port = bound.getsockname()[:2]
  server = _Server(
    uvicorn.Config(
      _logged(detection_app.asgi),
      http=functools.partial(
        connection.TimedConnection, min(_HEADER_TIMEOUT, limits.body_timeout)
      ),
      log_config=None,
      access_log=False,
      lifespan='off',
      ws='none',
      server_header=False,
      timeout_graceful_shutdown=_PATIENCE,
    ),
    "'{}', version {}, {}, input {}, at http://{}:{}/".format(
      location.name,
      location.version,
      model.artefact.name,
      model.artefact.input_type,
      f'[{host}]' if ':' in host else host,
      port,
    ),
  )
  logging.getLogger('uvicorn').setLevel(logging.WARNING)
  server.run(sockets=[bound])
  detection_app.close()
  _log.info('Stopped.')
