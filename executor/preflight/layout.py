"""How cores, batches and images divide on a TPU: read from the config alone."""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from executor.preflight import tpu_graph
from ops import preprocess_ops

# What TPUEstimator can lay out.
CORES_PER_REPLICA = (1, 2, 4, 8, 16, 32, 64, 128)
_NUM_IMAGE_DIMS = 4


class Layout(NamedTuple):
  """What runs where.

  Attributes:
    num_replicas: copies of the model; 1 if the config leaves it unclear.
    rows: (what, value) for a person.
    problems: one message each.
  """

  num_replicas: int
  rows: List[Tuple[str, str]]
  problems: List[str]


def check_layout(params: Any) -> Layout:
  """Divides cores, batches and images as `TPUEstimator` would.

  Args:
    params: the whole config.

  Returns:
    The `Layout`; nothing is raised.
  """
  num_cores = params.train.num_shards
  per_replica = params.train.num_cores_per_replica or 1
  problems = _core_problems(num_cores, per_replica)
  num_replicas = 1 if problems else num_cores // per_replica
  # Only training parts images, so elsewhere each core is a replica; and a pod
  # leaves evaluation to another TPU, of one host at most.
  num_evaluating = min(num_cores, tpu_graph.CORES_PER_HOST)
  batches = [
    ('train.train_batch_size', params.train.train_batch_size, num_replicas),
    ('eval.eval_batch_size', params.eval.eval_batch_size, num_evaluating),
  ]
  for batch in batches:
    problems += _batch_problems(*batch)
  image_size = padded_size(params)
  problems += _block_problems(params, image_size)
  problems += _partition_problems(params, image_size, per_replica)
  rows = [
    (
      'replicas',
      '{} ({} cores, {} for each replica)'.format(
        num_replicas, num_cores, per_replica
      ),
    ),
    *(
      (key, '{} images, {:g} for each of {}'.format(size, size / count, count))
      for key, size, count in batches
    ),
    ('padded image', '{} x {} pixels (height x width)'.format(*image_size)),
  ]
  dims = image_partition_dims(params)
  if dims:
    rows.append(('parts of an image', ' x '.join(str(n) for n in dims)))
  return Layout(num_replicas, rows, problems)


def padded_size(params: Any) -> Tuple[int, int]:
  """Height and width of the network's images, pixels."""
  parser = getattr(params, params.architecture.parser)
  return preprocess_ops.padded_size(
    parser.output_size, 2**params.architecture.max_level
  )


def image_partition_dims(params: Any) -> Optional[Sequence[int]]:
  """Parts of [batch, height, width, channels]; None without partitioning."""
  dims = params.train.input_partition_dims
  return dims[0] if dims and isinstance(dims[0], (list, tuple)) else None


def _core_problems(num_cores: int, per_replica: int) -> List[str]:
  if per_replica not in CORES_PER_REPLICA:
    return [
      'train.num_cores_per_replica: {} cores cannot share a replica; allowed '
      'are {}.'.format(per_replica, ', '.join(map(str, CORES_PER_REPLICA)))
    ]
  if num_cores % per_replica:
    return [
      'train.num_shards: {} cores do not divide into replicas of {} '
      '(train.num_cores_per_replica). Give a multiple of {} with '
      '--num_cores.'.format(num_cores, per_replica, per_replica)
    ]
  return []


def _batch_problems(key: str, size: int, num_replicas: int) -> List[str]:
  if size % num_replicas == 0:
    return []
  return [
    '{}: {} images do not divide over {} replicas. Use a multiple of {}, such '
    'as {}.'.format(
      key,
      size,
      num_replicas,
      num_replicas,
      size // num_replicas * num_replicas or num_replicas,
    )
  ]


def _block_problems(params: Any, size: Tuple[int, int]) -> List[str]:
  block = params.architecture.space_to_depth_block_size
  if not any(side % block for side in size):
    return []
  return [
    'architecture.space_to_depth_block_size: blocks of {} pixels do not cover '
    'an image of {} x {} pixels. Use a divisor of both sides.'.format(
      block, *size
    )
  ]


def _partition_problems(
  params: Any, size: Tuple[int, int], per_replica: int
) -> List[str]:
  settings = params.train
  if not settings.input_partition_dims:
    if per_replica == 1:
      return []
    return [
      'train.input_partition_dims: null, so the {} cores of a replica '
      '(train.num_cores_per_replica) would all compute the same. Give the '
      "parts of an image, such as [[1, {}, 1, 1], 'None'].".format(
        per_replica, per_replica
      )
    ]
  dims = image_partition_dims(params)
  if dims is None:
    return []
  given = 'train.input_partition_dims: {}'.format(list(dims))
  if len(dims) != _NUM_IMAGE_DIMS or any(
    type(part) is not int or part < 1 for part in dims
  ):
    return [
      given + ' has to be four counts, each at least 1: parts of batch, '
      'height, width and channels.'
    ]
  batch, height, width, channels = dims
  problems = []
  if batch != 1 or channels != 1:
    problems.append(
      given + ' parts the batch or the channels. Only height and width can be '
      'parted: the first and the last count have to be 1.'
    )
  if batch * height * width * channels != per_replica:
    problems.append(
      given
      + ' makes {} parts for {} cores of a replica. Their product has to '
      'be train.num_cores_per_replica.'.format(
        batch * height * width * channels, per_replica
      )
    )
  # With space-to-depth what arrives is the image of blocks.
  block = params.architecture.space_to_depth_block_size
  for name, side, parts in zip(('height', 'width'), size, (height, width)):
    if side // block % parts:
      problems.append(
        '{} does not divide the {} of the images, {} pixels{}, into equal '
        'parts. Change the {} in {}.output_size, which is padded to a multiple '
        'of {}, or the parts.'.format(
          given,
          name,
          side,
          ' in blocks of {}'.format(block) if block > 1 else '',
          name,
          params.architecture.parser,
          2**params.architecture.max_level,
        )
      )
  return problems
