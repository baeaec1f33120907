"""What a run computes on."""

import logging
import socket
import time
import urllib.parse
from typing import Any, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from utils import errors

_log = logging.getLogger(__name__)

TPU = 'TPU'
GPU = 'GPU'
CPU = 'CPU'


class Hardware(NamedTuple):
  """The devices of a run.

  Attributes:
    kind: 'TPU', 'GPU' or 'CPU'.
    num_replicas: copies of the model that share the global batch.
    description: for a person.
    resolver: finds the TPU; None elsewhere.
  """

  kind: str
  num_replicas: int
  description: str
  resolver: Optional[Any] = None


def detect(params: Any) -> Hardware:
  """Chooses the hardware: the TPU if `use_tpu`, else GPUs, else the CPU."""
  if params.use_tpu:
    return _tpu(params)
  num_gpus = len(tf.config.experimental.list_physical_devices('GPU'))
  if num_gpus:
    return Hardware(
      GPU, num_gpus, '{} GPU{}'.format(num_gpus, 's' if num_gpus > 1 else '')
    )
  return Hardware(CPU, 1, 'CPU')


def _tpu(params: Any) -> Hardware:
  platform = params.platform
  name = platform.tpu
  wait_until_healthy(name, platform.tpu_zone, platform.gcp_project)
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
      name, zone=platform.tpu_zone, project=platform.gcp_project
    )
    wait_until_reachable(resolver.master())
  except (ValueError, RuntimeError, OSError) as error:
    raise _tpu_error(name, error) from error
  num_cores = params.train.num_shards
  return Hardware(
    TPU, num_cores, 'TPU {} ({} cores)'.format(name, num_cores), resolver
  )


def wait_until_healthy(
  name: Optional[str],
  zone: Optional[str],
  project: Optional[str],
  service: Any = None,
) -> None:
  """Waits until the Cloud TPU API calls the TPU healthy.

  Args:
    name: TPU name, or a grpc:// address, which is taken as it is.
    zone: of the TPU; None: this machine's.
    project: of the TPU; None: this machine's.
    service: stands in for the Cloud TPU API.

  Raises:
    UserError: the TPU cannot be found or does not become healthy.
  """
  if name and name.startswith('grpc://'):
    return
  # Only TPU runs need it, and it defines flags when imported.
  from cloud_tpu_client import client as cloud_tpu

  try:
    client = cloud_tpu.Client(
      tpu=name, zone=zone, project=project, service=service
    )
    _log.info('Waiting for the TPU %s to be healthy.', name)
    client.wait_for_healthy()
  except (ValueError, RuntimeError, OSError) as error:
    raise _tpu_error(name, error) from error


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
    raise ValueError('{!r} is not of the form grpc://host:port'.format(address))
  end = time.monotonic() + timeout
  while True:
    begin = time.monotonic()
    try:
      socket.create_connection((parts.hostname, parts.port), interval).close()
      return
    except socket.gaierror as error:
      raise OSError('the host {} is unknown'.format(parts.hostname)) from error
    except OSError as error:
      if time.monotonic() >= end:
        raise OSError(
          'nothing answered at {} for {:.0f} s ({})'.format(
            address, timeout, error
          )
        ) from error
      _log.info(
        'Waiting for the TPU at %s to answer (%s); giving up in %.0f s.',
        address,
        error,
        end - time.monotonic(),
      )
    time.sleep(max(min(begin + interval, end) - time.monotonic(), 0.0))


def _tpu_error(name: Optional[str], error: Exception) -> errors.UserError:
  return errors.UserError(
    'use_tpu is true, but {} cannot be used: {}. Give its name '
    'with --tpu (and --tpu_zone, --gcp_project if this machine is elsewhere), '
    'or a grpc://host:port address; or train without a TPU with '
    '--use_tpu=False.'.format(
      "the TPU '{}'".format(name) if name else 'a TPU without a name',
      str(error).rstrip('. '),
    )
  )
