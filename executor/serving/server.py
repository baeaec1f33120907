"""Runs the application until a signal comes."""

import errno
import logging
import socket

import uvicorn

from executor.serving import app as app_lib
from executor.serving import request_log, served_model
from executor.serving.limits import Limits
from utils import errors

_log = logging.getLogger(__name__)

# What runs is finished after a first signal, but not forever.
_PATIENCE = 60  # seconds


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
      '--host={} --port={} cannot be served: {}. {}'.format(
        host, port, error.strerror, advice
      )
    ) from error
  return bound


def serve(
  location: served_model.Location, bound: socket.socket, limits: Limits
) -> None:
  """Loads a model, runs it once, and answers requests until SIGINT or SIGTERM.

  Then no new connection is taken, and what is in work is finished; a second
  SIGINT ends the program at once.

  Args:
    location: of the model.
    bound: socket of `bind`.
    limits: of the server.

  Raises:
    UserError: the model cannot be loaded.
  """
  model = served_model.ServedModel(location.directory)
  model.warm_up()
  detection_app = app_lib.DetectionApp(location, model, limits)
  server = uvicorn.Server(
    uvicorn.Config(
      request_log.RequestLog(detection_app.asgi),
      log_config=None,
      access_log=False,
      lifespan='off',
      server_header=False,
      timeout_graceful_shutdown=_PATIENCE,
    )
  )
  logging.getLogger('uvicorn').setLevel(logging.WARNING)
  host, port = bound.getsockname()[:2]
  _log.info(
    "'%s', version %d, input %s, at http://%s:%d/",
    location.name,
    location.version,
    model.artefact.input_type,
    '[{}]'.format(host) if ':' in host else host,
    port,
  )
  server.run(sockets=[bound])
  detection_app.close()
  _log.info('Stopped.')
