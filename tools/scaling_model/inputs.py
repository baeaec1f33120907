"""Reads the numbers that the scaling model starts from.

A JSON file has four parts: `networks` (measured here), `memory` (of the
preflight), `devices` (published) and `assumptions`. In the last two every
number is a pair [value, source].
"""

import json
import math
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from utils import errors, files

TORUS, RING = 'torus', 'ring'
# Names of the variants that a preset is, on each kind of device.
ON_TPU, ON_GPU = 'on a TPU', 'on GPUs'
NETWORK_KINDS = (TORUS, RING)


class Variant(NamedTuple):
  """What one config asks of the host, for one image.

  Attributes:
    infeed_bytes: image and labels, as they cross to the device.
    cpu_ms_per_image: time of one core of the machine that measured.
    images_per_second: of all cores of that machine.
  """

  infeed_bytes: int
  cpu_ms_per_image: float
  images_per_second: float


class Network(NamedTuple):
  """A preset, as `measurements.measure_network` describes it.

  Attributes:
    name: of its row in the tables.
    preset: name of the config file.
    image: 'height x width'.
    parameters: trained ones; a gradient of float32 for each is summed.
    multiply_adds: of the forward pass of one image.
    synced_layers: batch norms that share their moments.
    batch_per_core: images, where the batch grows with the cores.
    fixed_bytes: of a core's memory, whatever the batch.
    image_bytes: of a core's memory, for each image.
    variants: by name; `ON_TPU` and `ON_GPU` are the preset itself.
  """

  name: str
  preset: str
  image: str
  parameters: int
  multiply_adds: float
  synced_layers: int
  batch_per_core: int
  fixed_bytes: int
  image_bytes: int
  variants: Dict[str, Variant]

  def host(self, device: 'Device') -> Variant:
    """What the preset asks of the host of a device."""
    return self.variants[ON_TPU if device.network == TORUS else ON_GPU]


class Device(NamedTuple):
  """One kind of accelerator; a core is a GPU or half of a TPU chip.

  Attributes:
    name: of its row in the tables.
    network: 'torus' (between TPU chips) or 'ring' (of the GPUs of a host, and
      of hosts).
    flops: peak of a core (FLOP/s).
    memory_bytes: of a core.
    memory_bandwidth: of a core (bytes/s).
    cores_per_chip: which share one place in the torus.
    cores_per_host: which one host feeds.
    host_cores: processor cores of a host.
    transfer_bandwidth: from a host to all its devices (bytes/s).
    link_bandwidth: of one link between chips, one direction (bytes/s).
    host_bandwidth: between hosts (bytes/s); a torus does not use it.
    hop_seconds: latency from a device to the next.
    largest_unsynced: cores up to which batch norm keeps its own moments.
    most_cores: that are built.
    sources: by field.
  """

  name: str
  network: str
  flops: float
  memory_bytes: float
  memory_bandwidth: float
  cores_per_chip: int
  cores_per_host: int
  host_cores: int
  transfer_bandwidth: float
  link_bandwidth: float
  host_bandwidth: float
  hop_seconds: float
  largest_unsynced: int
  most_cores: int
  sources: Dict[str, str]


class Assumptions(NamedTuple):
  """What nobody measured.

  Attributes:
    utilisation: share of a device's peak that the network reaches.
    memory_passes: how often what is kept for the backward pass is written or
      read in a step.
    overlap: share of the backward pass that hides the all-reduce.
    host_core_share: what a core of a host does, of a core measured here.
    record_bytes: of one training image on disk.
    largest_batch: with which a detector was trained to full AP.
    sources: by field.
  """

  utilisation: float
  memory_passes: float
  overlap: float
  host_core_share: float
  record_bytes: float
  largest_batch: int
  sources: Dict[str, str]


class Inputs(NamedTuple):
  """All of a file.

  Attributes:
    machine: what measured the networks, and when.
    networks, devices: in the order of the file.
    assumptions: see there.
  """

  machine: str
  networks: List[Network]
  devices: List[Device]
  assumptions: Assumptions


def read(path: str) -> Inputs:
  """Reads a file of inputs.

  Raises:
    ConfigError: it is no JSON, or a key is missing, unknown or out of range.
  """
  content = read_json(path)
  _check_keys(
    path, content, ('machine', 'networks', 'memory', 'devices', 'assumptions')
  )
  memory = content['memory']
  _check_keys(path + ': memory', memory, content['networks'])
  return Inputs(
    machine=content['machine'],
    networks=[
      _network('{}: networks.{}'.format(path, name), name, values, memory[name])
      for name, values in content['networks'].items()
    ],
    devices=[
      _device('{}: devices.{}'.format(path, name), name, values)
      for name, values in content['devices'].items()
    ],
    assumptions=_assumptions(path + ': assumptions', content['assumptions']),
  )


def read_json(path: str) -> Dict[str, Any]:
  """Returns the content; ConfigError names the file if it is no object."""
  try:
    content = json.loads(files.read_text(path))
  except ValueError as error:
    raise errors.ConfigError(
      "File '{}' is no JSON: {}.".format(path, error)
    ) from error
  if not isinstance(content, dict):
    raise errors.ConfigError("File '{}' has to be an object.".format(path))
  return content


def _network(
  where: str, name: str, values: Dict[str, Any], memory: Dict[str, Any]
) -> Network:
  values = dict(values, **memory)
  _check_keys(where, values, _fields(Network, 'name') + ('command',))
  del values['command']
  for variant in (ON_TPU, ON_GPU):
    if variant not in values['variants']:
      raise errors.ConfigError(
        '{}.variants: {!r} is missing.'.format(where, variant)
      )
  variants = {}
  for variant, figures in values['variants'].items():
    place = '{}.variants.{}'.format(where, variant)
    _check_keys(place, figures, _fields(Variant))
    for key, value in figures.items():
      _check_number(place, key, value)
    variants[variant] = Variant(**figures)
  for key in (
    'parameters',
    'multiply_adds',
    'synced_layers',
    'batch_per_core',
    'fixed_bytes',
    'image_bytes',
  ):
    _check_number(where, key, values[key], may_be_zero=key == 'synced_layers')
  values['variants'] = variants
  return Network(name=name, **values)


def _device(where: str, name: str, values: Dict[str, Any]) -> Device:
  _check_keys(where, values, _fields(Device, 'name', 'sources'))
  values = dict(values)
  network = values.pop('network')
  if network not in NETWORK_KINDS:
    raise errors.ConfigError(
      '{}.network: {!r} is none of {}.'.format(
        where, network, ', '.join(NETWORK_KINDS)
      )
    )
  numbers, sources = _split_sources(where, values)
  return Device(name=name, network=network, sources=sources, **numbers)


def _assumptions(where: str, values: Dict[str, Any]) -> Assumptions:
  _check_keys(where, values, _fields(Assumptions, 'sources'))
  numbers, sources = _split_sources(where, values)
  for key in ('utilisation', 'overlap', 'host_core_share'):
    if numbers[key] > 1:
      raise errors.ConfigError(
        '{}.{}: {} is a share, at most 1.'.format(where, key, numbers[key])
      )
  return Assumptions(sources=sources, **numbers)


def _split_sources(
  where: str, values: Dict[str, Any]
) -> Tuple[Dict[str, Any], Dict[str, str]]:
  numbers, sources = {}, {}
  for key, pair in values.items():
    if not isinstance(pair, list) or len(pair) != 2 or not pair[1]:
      raise errors.ConfigError(
        '{}.{}: {!r} has to be [number, source].'.format(where, key, pair)
      )
    numbers[key], sources[key] = pair
    # A torus has no network of hosts, and no overlap is an overlap of 0.
    _check_number(
      where, key, pair[0], may_be_zero=key in ('host_bandwidth', 'overlap')
    )
  return numbers, sources


def _fields(kind: Any, *without: str) -> Tuple[str, ...]:
  return tuple(name for name in kind._fields if name not in without)


def _check_keys(
  where: str, values: Dict[str, Any], wanted: Sequence[str]
) -> None:
  for key in wanted:
    if key not in values:
      raise errors.ConfigError('{}: {} is missing.'.format(where, key))
  for key in values:
    if key not in wanted:
      raise errors.ConfigError(
        '{}: {!r} is unknown; known are {}.{}'.format(
          where, key, ', '.join(wanted), errors.did_you_mean(key, wanted)
        )
      )


def _check_number(
  where: str, key: str, value: Any, may_be_zero: bool = False
) -> None:
  if (
    isinstance(value, bool)
    or not isinstance(value, (int, float))
    or not math.isfinite(value)
    or value < 0
    or (value == 0 and not may_be_zero)
  ):
    raise errors.ConfigError(
      '{}.{}: {!r} has to be a number {}.'.format(
        where, key, value, 'from 0 on' if may_be_zero else 'above 0'
      )
    )
