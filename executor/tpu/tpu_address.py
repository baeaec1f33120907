"""Test whether a TPU answers at its address."""

import logging
import socket
import time
import urllib.parse

import tensorflow.compat.v1 as tf

from utils import errors

_log = logging.getLogger(__name__)

_RESET_TIMEOUT = 60.0


def connect(
  resolver: tf.distribute.cluster_resolver.TPUClusterResolver,
) -> tf.distribute.cluster_resolver.TPUClusterResolver:
  """Returns `resolver` once its master answered.

  Raises:
    UserError: it does not answer, or is no address.
  """
  try:
    address = resolver.master()
    wait_until_reachable(address)
    reset_session(address)
  except (ValueError, RuntimeError, OSError) as error:
    raise errors.UserError(
      'The TPU cannot be used: {}. Check the address (--tpu, --eval_master), '
      'that the TPU runs, and that this machine is in its network; or train '
      'without a TPU with --use_tpu=False.'.format(str(error).rstrip('. '))
    ) from error
  return resolver


def wait_until_reachable(
  address: str, timeout: float = 300.0, interval: float = 10.0
) -> None:
  """Waits until something listens at an address.

  Without it, TensorFlow tries for hours and says nothing.

  Args:
    address: grpc://host:port.
    timeout: seconds after which to give up.
    interval: seconds for, and between, tries.

  Raises:
    OSError: nothing listened, or the host is unknown.
    ValueError: not such an address.
  """
  parts = urllib.parse.urlsplit(address)
  if not parts.hostname or not parts.port:
    raise ValueError(f'{address!r} is not of the form grpc://host:port')
  end = time.monotonic() + timeout
  while True:
    begin = time.monotonic()
    try:
      socket.create_connection((parts.hostname, parts.port), interval).close()
      return
    except socket.gaierror as error:
      raise OSError(f'the host {parts.hostname} is unknown') from error
    except OSError as error:
      if time.monotonic() >= end:
        raise OSError(
          f'nothing answered at {address} for {timeout:.0f} s ({error})'
        ) from error
      _log.info(
        'Waiting for the TPU at %s to answer (%s); giving up in %.0f s.',
        address,
        error,
        end - time.monotonic(),
      )
    time.sleep(max(min(begin + interval, end) - time.monotonic(), 0.0))


def reset_session(address: str, timeout: float = _RESET_TIMEOUT) -> None:
  """Clears variables and sessions that an earlier program left at a master.

  Args:
    address: grpc://host:port, where something listens.
    timeout: seconds after which to give up.

  Raises:
    OSError: what listens is no TensorFlow that answers.
  """
  config = tf.ConfigProto(operation_timeout_in_ms=int(timeout * 1000))
  try:
    tf.Session.reset(address, config=config)
  except (tf.errors.OpError, RuntimeError) as error:
    raise OSError(
      f'no TensorFlow server answered at {address} within {timeout:.0f} s '
      f'({error})'
    ) from error
