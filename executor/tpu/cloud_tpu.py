"""Cloud TPUs by name: address, state, version."""

import logging
import time
from typing import Any, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from executor.tpu import tpu_address
from utils import errors

_log = logging.getLogger(__name__)

# What this project runs on; workers of other versions speak other protocols.
TENSORFLOW_VERSION = '1.15'

_HEALTHY_TIMEOUT = 1200.0
_INTERVAL = 10.0
_LOG_INTERVAL = 60.0

_MISSING = 'MISSING'
_UNKNOWN = 'UNKNOWN'

_RECREATE = 'delete it if it is still listed, and create it again'
# States that end only if somebody does something.
_LOST_STATES = {
  _MISSING: 'check the flags, or create it (gcloud compute tpus create)',
  'PREEMPTED': _RECREATE,
  'TERMINATED': _RECREATE,
  'DELETING': _RECREATE,
  'STOPPED': 'start it (gcloud compute tpus start)',
}

# Answers of the API after which the same question may do.
_TRANSIENT_CODES = (408, 429)


class TpuStatus(NamedTuple):
  """What the Cloud TPU API tells about a TPU.

  Attributes:
    state: READY, CREATING, PREEMPTED, ...; MISSING: there is none of that name;
      UNKNOWN: the API did not answer.
    health: HEALTHY, UNHEALTHY_MAINTENANCE, ...
    version: of TensorFlow; None: not known.
  """

  state: str
  health: str = _UNKNOWN
  version: Optional[str] = None

  @property
  def is_healthy(self) -> bool:
    return self.state == 'READY' and self.health == 'HEALTHY'


class WrongVersionError(errors.UserError):
  """The TPU is there, but of another version, or refuses the one given."""


def tpu_name(platform: Any) -> Optional[str]:
  """Name, or grpc:// addresses, from the flag or the environment.

  Args:
    platform: the block `platform` of the config.
  """
  # Only TPU runs need it, and it defines flags when imported.
  from cloud_tpu_client import client as cloud_tpu

  return cloud_tpu._get_tpu_name(platform.tpu)


class CloudTpu:
  """A TPU that is named by flags.

  Args:
    platform: the block `platform` of the config.
    service: stands in for the Cloud TPU API.
    interval: seconds between questions.

  Attributes:
    name: name, or grpc:// addresses, from the flag or the environment.
    has_api: whether the API knows it: an address is taken as it is.

  Raises:
    UserError: no name is known, or project and zone are not.
  """

  def __init__(
    self, platform: Any, service: Any = None, interval: float = _INTERVAL
  ):
    # See `tpu_name`.
    from cloud_tpu_client import client as cloud_tpu

    self._platform = platform
    self._service = service
    self._interval = interval
    try:
      self._client = cloud_tpu.Client(
        tpu=platform.tpu,
        zone=platform.tpu_zone,
        project=platform.gcp_project,
        service=service,
      )
    except ValueError as error:
      raise errors.UserError(
        'use_tpu is true, but no TPU is named. Give its name or its '
        'grpc://host:port address with --tpu, or --use_tpu=False.'
      ) from error
    except OSError as error:
      raise errors.UserError(
        f"The TPU '{tpu_name(platform)}' cannot be looked up: this machine is "
        f'not on Google Cloud ({error}). Give --gcp_project and --tpu_zone.'
      ) from error
    self.name = self._client.name()
    self.has_api = self._client.api_available()

  def _where(self) -> str:
    text = "the TPU '{}' (--tpu) in {} (--tpu_zone) of {} (--gcp_project)"
    return text.format(
      self.name,
      self._platform.tpu_zone or "this machine's zone",
      self._platform.gcp_project or "this machine's project",
    )

  def status(self) -> TpuStatus:
    """Asks the API.

    Raises:
      UserError: the API refuses, or there are no credentials for it.
    """
    try:
      # Its public functions ask once for each field, so that fields of two
      # moments would be mixed.
      node = self._client._fetch_cloud_tpu_metadata()
    except Exception as error:  # The client lets through what libraries raise.
      # The first of a chain of errors, most of which wrap another.
      root: Any = error
      while root.__cause__ or root.__context__:
        root = root.__cause__ or root.__context__
      response = getattr(root, 'resp', None)
      code = int(response.status) if response is not None else None
      reason = ' '.join(str(root).split()).rstrip('. ')
      if code == 404:
        return TpuStatus(_MISSING)
      if (
        (code or 0) >= 500
        or code in _TRANSIENT_CODES
        or (code is None and isinstance(root, OSError))
      ):
        _log.warning('The Cloud TPU API does not answer: %s.', reason)
        return TpuStatus(_UNKNOWN)
      raise errors.UserError(
        f'The Cloud TPU API refuses to tell about {self._where()}: {reason}. '
        'Check project, zone and account (gcloud auth application-default '
        'login), or give the grpc://host:port address as --tpu.'
      ) from error
    return TpuStatus(
      node.get('state', _UNKNOWN),
      node.get('health', _UNKNOWN),
      node.get('tensorflowVersion'),
    )

  def wait_until_healthy(
    self,
    awaits_new_tpu: bool = False,
    timeout: float = _HEALTHY_TIMEOUT,
  ) -> None:
    """Returns once the API calls the TPU healthy; says what it waits for.

    Args:
      awaits_new_tpu: wait without end, also while there is no TPU of this name
        or only a preempted one.
      timeout: seconds after which to give up otherwise.

    Raises:
      UserError: the TPU is missing, preempted or stopped, does not become
        healthy, or cannot be asked about.
    """
    begin = time.monotonic()
    last_status, last_line = None, begin
    while True:
      status = self.status()
      if status.is_healthy:
        return
      waited = time.monotonic() - begin
      advice = _LOST_STATES.get(status.state)
      if advice and not awaits_new_tpu:
        raise errors.UserError(
          f'This run cannot use {self._where()}: its state is {status.state}. '
          f'To go on, {advice}; the same command then resumes from the last '
          'checkpoint.'
        )
      if waited >= timeout and not awaits_new_tpu:
        raise errors.UserError(
          f'This run cannot use {self._where()}: not healthy within '
          f'{timeout:.0f} s, state {status.state}, health {status.health}. '
          'See gcloud compute tpus describe, or recreate it.'
        )
      if status != last_status or time.monotonic() - last_line >= _LOG_INTERVAL:
        last_status, last_line = status, time.monotonic()
        _log.info(
          'TPU %s: state %s, health %s; waited %.0f s%s.',
          self.name,
          status.state,
          status.health,
          waited,
          '; to go on, ' + advice
          if advice
          else ''
          if awaits_new_tpu
          else f' of at most {timeout:.0f} s',
        )
      time.sleep(self._interval)

  def check_version(self, configures: bool) -> None:
    """Makes sure that the TPU runs TensorFlow 1.15.

    Args:
      configures: set the version, which restarts the TPU's runtime if it is
        another. Without it an address, whose version no API tells, is trusted.

    Raises:
      WrongVersionError: it runs another version, or refuses this one.
      UserError: it cannot be reached, or does not come back.
    """
    if configures:
      self._configure_version()
    elif self.has_api:
      version = self.status().version
      if version and version.split('.')[:2] != TENSORFLOW_VERSION.split('.'):
        raise WrongVersionError(
          f'TensorFlow {TENSORFLOW_VERSION} is needed, but {self._where()} '
          f'runs TensorFlow {version}. Give --configure_tpu_version, or '
          f'recreate the TPU with --version={TENSORFLOW_VERSION}.'
        )

  def _configure_version(self) -> None:
    _log.info(
      'Setting the version of TPU %s to %s.', self.name, TENSORFLOW_VERSION
    )
    try:
      self._client.configure_tpu_version(
        TENSORFLOW_VERSION, restart_type='ifNeeded'
      )
    except Exception as error:  # The client raises nothing more special.
      # What a worker answers, the client raises without a type of its own.
      is_lost = isinstance(error, (OSError, ValueError, RuntimeError))
      kind = errors.UserError if is_lost else WrongVersionError
      raise kind(
        f'--configure_tpu_version: the version of TPU {self.name} cannot be '
        f'set to {TENSORFLOW_VERSION}: {error}. Recreate the TPU with '
        f'--version={TENSORFLOW_VERSION}, or leave the flag out.'
      ) from error
    if self.has_api:
      self.wait_until_healthy()

  def resolver(self) -> tf.distribute.cluster_resolver.TPUClusterResolver:
    """Tells TensorFlow where the TPU is; it has to be healthy."""
    return tf.distribute.cluster_resolver.TPUClusterResolver(
      self.name,
      zone=self._platform.tpu_zone,
      project=self._platform.gcp_project,
      service=self._service,
    )


def connect(
  platform: Any, awaits_new_tpu: bool = False, service: Any = None
) -> tf.distribute.cluster_resolver.TPUClusterResolver:
  """Waits for the TPU and clears what an earlier program left on it.

  Args:
    platform: the block `platform` of the config.
    awaits_new_tpu: whether somebody is about to create the TPU anew.
    service: stands in for the Cloud TPU API.

  Returns:
    A resolver whose master answers.

  Raises:
    UserError: the TPU cannot be used.
  """
  tpu = CloudTpu(platform, service)
  while True:
    if tpu.has_api:
      tpu.wait_until_healthy(awaits_new_tpu)
    try:
      tpu.check_version(platform.configure_tpu_version)
      return tpu_address.connect(tpu.resolver())
    except WrongVersionError:
      raise
    except errors.UserError as error:
      if not (awaits_new_tpu and tpu.has_api):
        raise
      # The API may call a TPU healthy for a while after it was taken away. One
      # that is created in the meantime has its version set, too.
      _log.warning('%s Asking the API again.', error)
    time.sleep(_INTERVAL)
