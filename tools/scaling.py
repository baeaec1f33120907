"""Expected time of a training step on 8 to 1024 cores, from measured inputs.

  python tools/scaling.py

prints the tables of docs/scaling.md, which has the model and the sources of the
figures below. To plan for another machine, change them here.

  step = max(host input, transfer, compute + all-reduce + sync BN)
"""

from typing import Any, Iterator, NamedTuple, Sequence

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
_COLUMNS = (
  *('device', 'cores', 'batch', 'compute ms', 'all-reduce ms', 'sync BN ms'),
  *('step ms', 'images/s', 'efficiency', 'limit', 'hours'),
)


class Network(NamedTuple):
  """A preset, as it was measured in training; pairs are on a TPU, on GPUs."""

  name: str
  preset: str
  batch_per_core: int  # images
  parameters: float  # a gradient of float32 for each is summed
  multiply_adds: float  # of the forward pass of one image
  synced_layers: int  # batch norms that share their moments
  fixed_bytes: float  # of a core's memory, whatever the batch
  image_bytes: float  # of a core's memory, for each image
  infeed_bytes: Sequence[float]  # of an image and its labels
  cpu_ms: Sequence[float]  # of the input pipeline for an image


class Device(NamedTuple):
  """One kind of accelerator; a core is a GPU or half of a TPU chip."""

  name: str
  is_tpu: bool  # chips in a torus; else a ring in a host, hosts in another
  flops: float  # peak of a core, FLOP/s
  memory_bytes: float  # of a core
  memory_bandwidth: float  # of a core, bytes/s
  host_cores: int  # processor cores of a host, which feeds 8 cores
  transfer_bandwidth: float  # from a host to all its devices, bytes/s
  link_bandwidth: float  # of a link between chips, one direction, bytes/s
  most_cores: int  # that are built


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
  flop = _FLOP_PER_MULTIPLY_ADD * network.multiply_adds * images
  kept_bytes = MEMORY_PASSES * network.image_bytes * images
  host_images = images * min(cores, CORES_PER_HOST)
  cpu_seconds = host_images * network.cpu_ms[not device.is_tpu] / 1e3
  sums = network.synced_layers * _SUMS_PER_SYNCED_LAYER
  if cores <= (LARGEST_UNSYNCED_TPU if device.is_tpu else 1):
    sums = 0
  return Step(
    host=cpu_seconds / (device.host_cores * HOST_CORE_SHARE),
    transfer=host_images
    * network.infeed_bytes[not device.is_tpu]
    / device.transfer_bandwidth,
    compute=max(
      flop / (device.flops * UTILISATION), kept_bytes / device.memory_bandwidth
    ),
    all_reduce=all_reduce_seconds(
      device, cores, _FLOAT32_BYTES * network.parameters
    ),
    # So small that only their way counts.
    sync_bn=sums * all_reduce_seconds(device, cores, 0),
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


def cores_per_image(network: Network, device: Device) -> int:
  """So many cores have to share an image, at one batch a core."""
  free = device.memory_bytes - network.fixed_bytes
  cores = 1
  while cores * free < network.batch_per_core * network.image_bytes:
    cores *= 2
  return cores


def step_rows(network: Network) -> Iterator[Sequence[Any]]:
  """Steps at each size; the batch grows with the cores."""
  train = resolver.resolve(config_file=network.preset).params.train
  schedule = train.total_steps * train.train_batch_size
  for device in DEVICES:
    sharing = cores_per_image(network, device)
    for cores in (n for n in CORES if n <= device.most_cores):
      batch = network.batch_per_core * cores // sharing
      step = training_step(network, device, cores, batch)
      speed = batch / step.seconds
      parts = (step.compute, step.all_reduce, step.sync_bn, step.seconds)
      yield (
        *(device.name, cores, batch),
        *(f'{1e3 * seconds:.1f}' for seconds in parts),
        f'{speed:.0f}',
        f'{step.compute / step.seconds:.2f}',
        step.limit,
        f'{schedule / speed / 3600:.2f}',
      )


def main(argv: Sequence[str]) -> None:
  del argv  # Unused.
  for network in NETWORKS:
    print(f'### {network.name}: batch of {network.batch_per_core} a core\n')
    for row in (_COLUMNS, ['---'] * len(_COLUMNS), *step_rows(network)):
      print('| {} |'.format(' | '.join(map(str, row))))
    print()


if __name__ == '__main__':
  program.run(main)
