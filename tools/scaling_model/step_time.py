"""Expected time of a training step on many cores.

  step = max(host input, transfer, compute + exposed all-reduce + sync BN)

Host and transfer work on the next batch while the device computes, so the
slowest of the three sets the pace.
"""

from typing import NamedTuple, Optional, Tuple

from tools.scaling_model import inputs

# A multiply-add is 2 operations; the backward pass costs two forward passes.
_FLOP_PER_MULTIPLY_ADD = 6
_BACKWARD_SHARE = 2 / 3
_FLOAT32_BYTES = 4
# Of TensorFlow 1.15.
_MOST_CORES_PER_IMAGE = 16
# Mean, then variance; and both again in the backward pass.
_SUMS_PER_SYNCED_LAYER = 4


class Step(NamedTuple):
  """One training step; all times in seconds.

  Attributes:
    cores: in all.
    batch: images of a step, of all cores.
    host: the input pipeline of one host.
    transfer: from one host to its devices.
    compute: of a core.
    exposed: the part of the gradients' all-reduce that nothing hides.
    sync_bn: sums of batch norm's moments.
  """

  cores: int
  batch: float
  host: float
  transfer: float
  compute: float
  exposed: float
  sync_bn: float

  @property
  def seconds(self) -> float:
    return max(self.host, self.transfer, self.device)

  @property
  def device(self) -> float:
    return self.compute + self.exposed + self.sync_bn

  @property
  def images_per_second(self) -> float:
    return self.batch / self.seconds

  @property
  def efficiency(self) -> float:
    """Share of the step in which the cores compute."""
    return self.compute / self.seconds

  @property
  def limit(self) -> str:
    """What sets the pace, or takes most time beside computing."""
    if self.seconds > self.device:
      return 'host input' if self.host >= self.transfer else 'transfer'
    if self.compute >= 0.9 * self.seconds:
      return 'compute'
    return 'all-reduce' if self.exposed >= self.sync_bn else 'sync BN'


class Division(NamedTuple):
  """How a batch gets into the memory of the cores.

  Attributes:
    cores_per_image: `train.num_cores_per_replica`; on TPUs only.
    parts: `train.gradient_accumulation_steps`.
  """

  cores_per_image: int
  parts: int


def step(
  network: inputs.Network,
  device: inputs.Device,
  assumptions: inputs.Assumptions,
  cores: int,
  batch: float,
  parts: int = 1,
) -> Step:
  """Returns the expected step.

  Args:
    network: what is trained.
    device: on what.
    assumptions: how well.
    cores: number of cores; a multiple of a host's, or less.
    batch: images of a step, of all cores. Below one image for each core, cores
      divide images, which costs nothing here.
    parts: `train.gradient_accumulation_steps`: forward and backward passes
      that a step has, each of which sums up the moments of batch norm.
  """
  compute = compute_seconds(network, device, assumptions, batch / cores)
  all_reduce = all_reduce_seconds(
    device, cores, network.parameters * _FLOAT32_BYTES
  )
  images_per_host = batch / cores * min(cores, device.cores_per_host)
  sync_bn = 0.0
  if cores > device.largest_unsynced:
    # So small that only their way counts.
    sync_bn = (
      parts
      * network.synced_layers
      * _SUMS_PER_SYNCED_LAYER
      * all_reduce_seconds(device, cores, 0)
    )
  return Step(
    cores=cores,
    batch=batch,
    host=images_per_host
    / host_images_per_second(network.host(device), device, assumptions),
    transfer=images_per_host
    * network.host(device).infeed_bytes
    / device.transfer_bandwidth,
    compute=compute,
    exposed=max(
      0.0, all_reduce - assumptions.overlap * _BACKWARD_SHARE * compute
    ),
    sync_bn=sync_bn,
  )


def compute_seconds(
  network: inputs.Network,
  device: inputs.Device,
  assumptions: inputs.Assumptions,
  images: float,
) -> float:
  """Forward and backward pass of `images` on one core.

  As fast as it multiplies, or as its memory delivers, if that is slower.
  """
  flop = _FLOP_PER_MULTIPLY_ADD * network.multiply_adds * images
  moved = assumptions.memory_passes * network.image_bytes * images
  return max(
    flop / (device.flops * assumptions.utilisation),
    moved / device.memory_bandwidth,
  )


def host_images_per_second(
  variant: inputs.Variant,
  device: inputs.Device,
  assumptions: inputs.Assumptions,
) -> float:
  """What the input pipeline of one host delivers with all its cores."""
  cores = device.host_cores * assumptions.host_core_share
  return cores * 1e3 / variant.cpu_ms_per_image


def all_reduce_seconds(
  device: inputs.Device, cores: int, num_bytes: float
) -> float:
  """Sum of `num_bytes` over all cores, known to all of them in the end.

  In a torus the chips of a row sum up, each of them a part, then those of a
  column what their part is; one direction of one link is used at a time, which
  also holds where the ends are not connected. GPUs sum up within their host,
  then the hosts in a ring, which share their connection.
  """
  if device.network == inputs.TORUS:
    rows, columns = torus_shape(max(1, cores // device.cores_per_chip))
    bandwidths = device.link_bandwidth, device.link_bandwidth
    second_bytes = num_bytes / columns
    sizes = columns, rows
  else:
    gpus = min(cores, device.cores_per_host)
    sizes = gpus, max(1, cores // device.cores_per_host)
    bandwidths = device.link_bandwidth, device.host_bandwidth
    # All GPUs of a host send their parts through one connection.
    second_bytes = num_bytes
  seconds = ring_seconds(sizes[0], num_bytes, bandwidths[0])
  seconds += ring_seconds(sizes[1], second_bytes, bandwidths[1])
  hops = 2 * (sizes[0] - 1) + 2 * (sizes[1] - 1)
  return seconds + hops * device.hop_seconds


def ring_seconds(members: int, num_bytes: float, bandwidth: float) -> float:
  """Time in which a ring sends 2 (n - 1) / n of the bytes over each link."""
  if members == 1:
    return 0.0
  return 2 * (members - 1) / members * num_bytes / bandwidth


def torus_shape(chips: int) -> Tuple[int, int]:
  """Returns (rows, columns) of so many chips, as square as they can be."""
  rows = next(
    rows for rows in range(int(chips**0.5), 0, -1) if chips % rows == 0
  )
  return rows, chips // rows


def division(
  network: inputs.Network, device: inputs.Device, images_per_core: float
) -> Optional[Division]:
  """How the images of a step are divided so that they fit into the memory.

  Only TPU cores share an image, and GPUs that share batch norm's moments
  cannot compute a batch in parts.

  Returns:
    The division with the fewest cores to an image, or None if there is none.
  """
  cores_per_image = 1
  while cores_per_image <= _MOST_CORES_PER_IMAGE:
    images = int(images_per_core * cores_per_image)
    parts = _parts(images, largest_batch(network, device, cores_per_image))
    if device.network == inputs.TORUS:
      if parts:
        return Division(cores_per_image, parts)
      cores_per_image *= 2
    elif parts == 0 or (parts > 1 and network.synced_layers):
      return None
    else:
      return Division(1, parts)
  return None


def _parts(images: int, fitting: int) -> int:
  """The fewest equal parts of at most `fitting` images; 0 if there are none."""
  for parts in range(1, images + 1):
    if images % parts == 0 and images // parts <= fitting:
      return parts
  return 0


def largest_batch(
  network: inputs.Network, device: inputs.Device, cores_per_image: int = 1
) -> int:
  """Images at once in the memory of the cores that share an image."""
  free = device.memory_bytes - network.fixed_bytes
  return max(0, int(free * cores_per_image // network.image_bytes))
