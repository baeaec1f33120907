"""The tables of the scaling model, in Markdown."""

from typing import (
  Any,
  Callable,
  Iterable,
  Iterator,
  List,
  Optional,
  Sequence,
  Tuple,
)

from configs import presets, resolver
from tools.scaling_model import inputs, step_time

CORES = (8, 32, 256, 1024)
_UTILISATIONS = (0.1, 0.2, 0.4, 0.6)
_STEP_HEADER = (
  'device',
  'cores',
  'batch',
  'divided',
  'host ms',
  'transfer ms',
  'compute ms',
  'exposed ms',
  'sync BN ms',
  'step ms',
  'images/s',
  'records MB/s',
  'efficiency',
  'limit',
  'hours',
)

# A step, and None if its batch cannot be divided among the cores.
DividedStep = Tuple[step_time.Step, Optional[step_time.Division]]
_DEVICE_UNITS = (
  ('flops', 'peak TFLOP/s', 1e12),
  ('memory_bytes', 'memory GiB', 2**30),
  ('memory_bandwidth', 'memory GB/s', 1e9),
  ('cores_per_chip', 'cores a chip', 1),
  ('cores_per_host', 'cores a host', 1),
  ('host_cores', 'processor cores of a host', 1),
  ('transfer_bandwidth', 'host to devices GB/s', 1e9),
  ('link_bandwidth', 'link GB/s', 1e9),
  ('host_bandwidth', 'between hosts GB/s', 1e9),
  ('hop_seconds', 'latency of a hop, us', 1e-6),
  ('largest_unsynced', 'cores without sync BN', 1),
  ('most_cores', 'cores at most', 1),
)


def render(given: inputs.Inputs) -> str:
  """Returns all tables, each under its heading."""
  parts = [
    ('Networks', networks(given)),
    ('The host', host(given)),
    ('Devices', devices(given)),
    ('Sources of the devices', device_sources(given)),
    ('Assumptions', assumptions(given)),
  ]
  for network in given.networks:
    parts.append(
      (
        '{}: batch of {} a core'.format(network.name, network.batch_per_core),
        growing_batch(given, network),
      )
    )
    parts.append(
      (
        "{}: the preset's batch of {}".format(
          network.name, train_config(network).train_batch_size
        ),
        fixed_batch(given, network),
      )
    )
  parts.append(('Efficiency by utilisation', by_utilisation(given)))
  parts.append(('Memory', memory(given)))
  parts.append(('Schedules', schedules(given)))
  return '\n\n'.join('### {}\n\n{}'.format(*part) for part in parts) + '\n'


def networks(given: inputs.Inputs) -> str:
  """What was measured of each network."""
  return _table(
    (
      'network',
      'preset',
      'image',
      'parameters M',
      'gradients MB',
      'multiply-adds B',
      'synced layers',
    ),
    (
      (
        network.name,
        network.preset,
        network.image,
        '{:.1f}'.format(network.parameters / 1e6),
        '{:.1f}'.format(network.parameters * 4 / 1e6),
        '{:.1f}'.format(network.multiply_adds / 1e9),
        network.synced_layers,
      )
      for network in given.networks
    ),
  )


def host(given: inputs.Inputs) -> str:
  """Input of each config, and the utilisation from which a host limits."""
  rows = []
  for network in given.networks:
    for name, variant in network.variants.items():
      shares = []
      for device in given.devices:
        speed = step_time.host_images_per_second(
          variant, device, given.assumptions
        )
        speed = min(speed, device.transfer_bandwidth / variant.infeed_bytes)
        at_peak = step_time.compute_seconds(
          network, device, given.assumptions._replace(utilisation=1.0), 1
        )
        shares.append(
          '{:.0f} ({:.2f})'.format(
            speed, speed * at_peak / device.cores_per_host
          )
        )
      rows.append(
        (
          network.name,
          name,
          '{:.2f}'.format(variant.infeed_bytes / 1e6),
          '{:.2f}'.format(variant.cpu_ms_per_image),
          '{:.1f}'.format(1e3 / variant.cpu_ms_per_image),
          '{:.1f}'.format(variant.images_per_second),
          *shares,
        )
      )
  return _table(
    (
      'network',
      'config',
      'MB an image',
      'CPU ms an image',
      'images/s a core',
      'images/s here',
      *(device.name for device in given.devices),
    ),
    rows,
  )


def devices(given: inputs.Inputs) -> str:
  """Figures of the devices, a row for each figure."""
  return _table(
    ('', *(device.name for device in given.devices)),
    (
      (
        title,
        *(
          '{:.4g}'.format(getattr(device, field) / unit)
          for device in given.devices
        ),
      )
      for field, title, unit in _DEVICE_UNITS
    ),
  )


def device_sources(given: inputs.Inputs) -> str:
  """Where the figures are from."""
  titles = {field: title for field, title, _ in _DEVICE_UNITS}
  by_source = {}
  for device in given.devices:
    for field, source in device.sources.items():
      names, figures = by_source.setdefault(source, ([], []))
      for value, values in ((device.name, names), (titles[field], figures)):
        if value not in values:
          values.append(value)
  rows = (
    (', '.join(names), ', '.join(figures), source)
    for source, (names, figures) in by_source.items()
  )
  return _table(('device', 'figures', 'source'), rows)


def assumptions(given: inputs.Inputs) -> str:
  """The assumptions and why."""
  return _table(
    ('assumption', 'value', 'why'),
    (
      (field, '{:g}'.format(getattr(given.assumptions, field)), source)
      for field, source in given.assumptions.sources.items()
    ),
  )


def growing_batch(given: inputs.Inputs, network: inputs.Network) -> str:
  """Steps with the same number of images on each core."""
  return _steps(given, network, growing_steps)


def fixed_batch(given: inputs.Inputs, network: inputs.Network) -> str:
  """Steps with the batch of the preset."""
  return _steps(given, network, fixed_steps)


def growing_steps(
  given: inputs.Inputs, network: inputs.Network, device: inputs.Device
) -> Iterator[DividedStep]:
  """The step at each number of cores, if the batch grows with them.

  Where an image does not fit into a core, cores share it and the batch is
  smaller.
  """
  parts = step_time.division(network, device, network.batch_per_core)
  images = network.batch_per_core
  if parts and parts.cores_per_image > 1:
    images /= parts.cores_per_image
  for cores in _sizes(device):
    yield _divided(given, network, device, cores, images * cores)


def fixed_steps(
  given: inputs.Inputs, network: inputs.Network, device: inputs.Device
) -> Iterator[DividedStep]:
  """The step at each number of cores, with the batch of the preset."""
  batch = train_config(network).train_batch_size
  for cores in _sizes(device):
    yield _divided(given, network, device, cores, batch)


def by_utilisation(given: inputs.Inputs) -> str:
  """Efficiency of the largest size, if a device computes faster or slower."""
  rows = []
  for network in given.networks:
    for device in given.devices:
      efficiencies = []
      for utilisation in _UTILISATIONS:
        changed = given._replace(
          assumptions=given.assumptions._replace(utilisation=utilisation)
        )
        *_, (last, division) = growing_steps(changed, network, device)
        efficiencies.append(
          '{:.2f}'.format(last.efficiency) if division else '-'
        )
      rows.append((network.name, device.name, last.cores, *efficiencies))
  return _table(
    (
      'network',
      'device',
      'cores',
      *('{:g}'.format(utilisation) for utilisation in _UTILISATIONS),
    ),
    rows,
  )


def memory(given: inputs.Inputs) -> str:
  """How many images fit into a core."""
  return _table(
    (
      'network',
      'fixed GB',
      'GB an image',
      *(device.name for device in given.devices),
    ),
    (
      (
        network.name,
        '{:.2f}'.format(network.fixed_bytes / 1e9),
        '{:.2f}'.format(network.image_bytes / 1e9),
        *(step_time.largest_batch(network, device) for device in given.devices),
      )
      for network in given.networks
    ),
  )


def schedules(given: inputs.Inputs) -> str:
  """Learning rate and length if the batch grows with the cores."""
  rows = []
  for network in given.networks:
    train = train_config(network)
    images = train.total_steps * train.train_batch_size
    for cores in CORES:
      batch = network.batch_per_core * cores
      factor = batch / train.train_batch_size
      rows.append(
        (
          network.name,
          cores,
          batch,
          '{:.3g}'.format(train.learning_rate.init_learning_rate * factor),
          '{:.0f}'.format(images / batch),
          train.learning_rate.warmup_steps,
          'yes' if batch > given.assumptions.largest_batch else 'no',
        )
      )
  return _table(
    (
      'network',
      'cores',
      'batch',
      'learning rate',
      'steps',
      'warm-up steps',
      'beyond {}'.format(given.assumptions.largest_batch),
    ),
    rows,
  )


def train_config(network: inputs.Network) -> Any:
  """The block `train` of a network's preset."""
  (preset,) = presets.find_presets([network.preset])
  return resolver.resolve(config_file=preset.path).params.train


def _sizes(device: inputs.Device) -> Iterable[int]:
  return (cores for cores in CORES if cores <= device.most_cores)


def _divided(
  given: inputs.Inputs,
  network: inputs.Network,
  device: inputs.Device,
  cores: int,
  batch: float,
) -> DividedStep:
  division = step_time.division(network, device, batch / cores)
  step = step_time.step(
    network,
    device,
    given.assumptions,
    cores,
    batch,
    parts=division.parts if division else 1,
  )
  return step, division


def _steps(
  given: inputs.Inputs, network: inputs.Network, steps: Callable[..., Any]
) -> str:
  rows = []
  train = train_config(network)
  images = train.total_steps * train.train_batch_size
  for device in given.devices:
    for step, division in steps(given, network, device):
      row = (device.name, step.cores, '{:g}'.format(step.batch))
      if division is None:
        row += ('not possible',) + ('-',) * (len(_STEP_HEADER) - len(row) - 1)
      else:
        times = (
          step.host,
          step.transfer,
          step.compute,
          step.exposed,
          step.sync_bn,
          step.seconds,
        )
        row += (
          _division_text(division),
          *('{:.1f}'.format(1e3 * seconds) for seconds in times),
          '{:.0f}'.format(step.images_per_second),
          '{:.1f}'.format(
            step.images_per_second * given.assumptions.record_bytes / 1e6
          ),
          '{:.2f}'.format(step.efficiency),
          step.limit,
          '{:.2f}'.format(images / step.images_per_second / 3600),
        )
      rows.append(row)
  return _table(_STEP_HEADER, rows)


def _division_text(division: step_time.Division) -> str:
  texts = []
  if division.cores_per_image > 1:
    texts.append('{} cores an image'.format(division.cores_per_image))
  if division.parts > 1:
    texts.append('{} parts'.format(division.parts))
  return ', '.join(texts) or 'whole'


def _table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
  lines: List[Sequence[Any]] = [header, ['---'] * len(header), *rows]
  return '\n'.join(
    '| {} |'.format(' | '.join(str(cell) for cell in line)) for line in lines
  )
