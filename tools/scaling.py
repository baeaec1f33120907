"""Expected time of a training step on 8 to 1024 cores, from measured inputs.

  python tools/scaling.py

prints the tables of docs/scaling.md, which has the model and the sources of the
figures below. To plan for another machine, change them here.

  step = max(host input, transfer, compute + all-reduce + sync BN)
"""

from typing import Any, Iterable, Iterator, NamedTuple, Sequence

from configs import resolver
from utils import program

CORES = (8, 256, 1024)
# Assumed: the share of a device's peak that a network reaches; how often what
# is kept for the backward pass is written or read; what a core of a host does,
# of a core measured here.
UTILISATION = 0.2
MEMORY_PASSES = 5
HOST_CORE_SHARE = 0.5
# Cores that one host feeds; bytes/s between hosts of GPUs; latency from a chip,
# or a GPU, to the next; cores up to which batch norm keeps its own moments.
CORES_PER_HOST = 8
HOST_BANDWIDTH = 12.5e9
TPU_HOP_SECONDS, GPU_HOP_SECONDS = 1e-6, 5e-6
LARGEST_UNSYNCED_TPU = 8

# A multiply-add is 2 operations; the backward pass costs two forward passes.
_FLOP_PER_MULTIPLY_ADD = 6
_FLOAT32_BYTES = 4
# Mean, then variance; and both again in the backward pass.
_SUMS_PER_SYNCED_LAYER = 4


class Network(NamedTuple):
  """A preset, as it was measured in training.

  Attributes:
    name: of its rows in the tables.
    preset: the config file.
    batch_per_core: images, where the batch grows with the cores.
    parameters: trained ones; a gradient of float32 for each is summed.
    multiply_adds: of the forward pass of one image.
    synced_layers: batch norms that share their moments.
    fixed_bytes: of a core's memory, whatever the batch.
    image_bytes: of a core's memory, for each image.
    infeed_bytes: of an image and its labels; on a TPU, on GPUs.
    cpu_ms: of the input pipeline for an image; on a TPU, on GPUs.
  """

  name: str
  preset: str
  batch_per_core: int
  parameters: float
  multiply_adds: float
  synced_layers: int
  fixed_bytes: float
  image_bytes: float
  infeed_bytes: Sequence[float]
  cpu_ms: Sequence[float]


class Device(NamedTuple):
  """One kind of accelerator; a core is a GPU or half of a TPU chip.

  Attributes:
    name: of its rows in the tables.
    is_tpu: chips stand in a torus; GPUs form a ring in a host, hosts another.
    flops: peak of a core (FLOP/s).
    memory_bytes, memory_bandwidth: of a core (bytes, bytes/s).
    host_cores: processor cores of a host, which feeds 8 cores.
    transfer_bandwidth: from a host to all its devices (bytes/s).
    link_bandwidth: of a link between chips, one direction (bytes/s).
    most_cores: that are built.
  """

  name: str
  is_tpu: bool
  flops: float
  memory_bytes: float
  memory_bandwidth: float
  host_cores: int
  transfer_bandwidth: float
  link_bandwidth: float
  most_cores: int


NETWORKS = (
  Network(
    name='R50-FPN',
    preset='configs/yaml/retinanet_resnet50.yaml',
    batch_per_core=8,
    parameters=34091159,
    multiply_adds=96.936e9,
    synced_layers=0,
    fixed_bytes=0.4168e9,
    image_bytes=0.6642e9,
    infeed_bytes=(3.992e6, 6.450e6),
    cpu_ms=(8.80, 8.52),
  ),
  Network(
    name='SpineNet-190',
    preset='configs/spinenet/spinenet190_retinanet.yaml',
    batch_per_core=1,
    parameters=163637351,
    multiply_adds=1882.969e9,
    synced_layers=341,
    fixed_bytes=2.2354e9,
    image_bytes=8.3592e9,
    infeed_bytes=(15.968e6, 25.799e6),
    cpu_ms=(34.65, 33.35),
  ),
)
DEVICES = (
  Device('TPU v2', True, 23e12, 2**33, 350e9, 48, 15.75e9, 62e9, 512),
  Device('TPU v3', True, 61.5e12, 2**34, 450e9, 48, 15.75e9, 82e9, 2048),
  Device('V100', False, 125e12, 32e9, 900e9, 40, 63e9, 150e9, 4096),
  Device('A100', False, 312e12, 40e9, 1555e9, 128, 126e9, 300e9, 4096),
)


class Step(NamedTuple):
  """One training step: seconds of each part that can set the pace."""

  host: float
  transfer: float
  compute: float
  all_reduce: float
  sync_bn: float

  @property
  def seconds(self) -> float:
    device = self.compute + self.all_reduce + self.sync_bn
    return max(self.host, self.transfer, device)

  @property
  def limit(self) -> str:
    """What sets the pace, or takes most time beside computing."""
    for name in ('host', 'transfer'):
      if getattr(self, name) == self.seconds:
        return name
    if self.compute >= 0.9 * self.seconds:
      return 'compute'
    return 'all-reduce' if self.all_reduce >= self.sync_bn else 'sync BN'


def training_step(
  network: Network, device: Device, cores: int, batch: float
) -> Step:
  """Returns the expected step of `batch` images on all cores together."""
  images = batch / cores
  compute = max(
    _FLOP_PER_MULTIPLY_ADD
    * network.multiply_adds
    * images
    / (device.flops * UTILISATION),
    MEMORY_PASSES * network.image_bytes * images / device.memory_bandwidth,
  )
  sync_bn = 0.0
  if cores > (LARGEST_UNSYNCED_TPU if device.is_tpu else 1):
    # So small that only their way counts.
    sums = network.synced_layers * _SUMS_PER_SYNCED_LAYER
    sync_bn = sums * all_reduce_seconds(device, cores, 0)
  images_per_host = images * min(cores, CORES_PER_HOST)
  kind = 0 if device.is_tpu else 1
  return Step(
    host=images_per_host
    * network.cpu_ms[kind]
    / (1e3 * device.host_cores * HOST_CORE_SHARE),
    transfer=images_per_host
    * network.infeed_bytes[kind]
    / device.transfer_bandwidth,
    compute=compute,
    all_reduce=all_reduce_seconds(
      device, cores, network.parameters * _FLOAT32_BYTES
    ),
    sync_bn=sync_bn,
  )


def all_reduce_seconds(device: Device, cores: int, num_bytes: float) -> float:
  """Sum of `num_bytes` over all cores, known to all of them in the end.

  In a torus the chips of a row sum up, then those of a column their share of
  it. GPUs sum up within their host, then the hosts, which share a connection.
  """
  if device.is_tpu:
    chips = max(1, cores // 2)
    rows = next(n for n in range(int(chips**0.5), 0, -1) if chips % n == 0)
    sizes = chips // rows, rows
    rings = (num_bytes / device.link_bandwidth,)
    rings += (rings[0] / sizes[0],)
  else:
    gpus = min(cores, CORES_PER_HOST)
    sizes = gpus, max(1, cores // CORES_PER_HOST)
    rings = num_bytes / device.link_bandwidth, num_bytes / HOST_BANDWIDTH
  hop_seconds = TPU_HOP_SECONDS if device.is_tpu else GPU_HOP_SECONDS
  return sum(
    2 * (n - 1) * (seconds / n + hop_seconds)
    for n, seconds in zip(sizes, rings)
  )


def largest_batch(network: Network, device: Device, num_cores: int = 1) -> int:
  """Images at once in the memory of the cores that share an image."""
  free = (device.memory_bytes - network.fixed_bytes) * num_cores
  return max(0, int(free // network.image_bytes))


def cores_per_image(network: Network, device: Device) -> int:
  """So many cores have to share an image, at one batch a core."""
  cores = 1
  while largest_batch(network, device, cores) < network.batch_per_core:
    cores *= 2
  return cores


def _train_config(network: Network) -> Any:
  return resolver.resolve(config_file=network.preset).params.train


def step_rows(network: Network) -> Iterator[Sequence[Any]]:
  """Steps at each size; the batch grows with the cores."""
  train = _train_config(network)
  schedule = train.total_steps * train.train_batch_size
  for device in DEVICES:
    sharing = cores_per_image(network, device)
    for cores in (n for n in CORES if n <= device.most_cores):
      batch = network.batch_per_core * cores // sharing
      step = training_step(network, device, cores, batch)
      speed = batch / step.seconds
      yield (
        device.name,
        cores,
        batch,
        sharing,
        *(
          '{:.1f}'.format(1e3 * seconds)
          for seconds in (*step[2:], step.seconds)
        ),
        '{:.0f}'.format(speed),
        '{:.2f}'.format(step.compute / step.seconds),
        step.limit,
        '{:.2f}'.format(schedule / speed / 3600),
      )


def _print_table(
  title: str, header: str, rows: Iterable[Sequence[Any]]
) -> None:
  columns = header.split(' | ')
  print('### {}\n'.format(title))
  for row in (columns, ['---'] * len(columns), *rows):
    print('| {} |'.format(' | '.join(str(cell) for cell in row)))
  print()


def main(argv: Sequence[str]) -> None:
  del argv  # Unused.
  for network in NETWORKS:
    _print_table(
      '{}: batch of {} a core'.format(network.name, network.batch_per_core),
      'device | cores | batch | cores an image | compute ms | all-reduce ms | '
      'sync BN ms | step ms | images/s | efficiency | limit | hours',
      step_rows(network),
    )


if __name__ == '__main__':
  program.run(main)
