"""How cores, batches and images divide on a TPU: read from the config alone."""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from configs import params_dict
from executor import hardware as hardware_lib
from executor import partitioning
from ops import preprocess_ops
from utils import errors

_TRAINING = 'train.train_batch_size'
_EVALUATION = 'eval.eval_batch_size'
_NUM_COLORS = 3


class Layout(NamedTuple):
  """What runs where.

  Attributes:
    num_replicas: copies of the model; None: the cores make no replicas.
    rows: (what, value) for a person.
    problems: one message each.
  """

  num_replicas: Optional[int]
  rows: List[Tuple[str, str]]
  problems: List[str]


class _Batch(NamedTuple):
  """A global batch.

  Attributes:
    key: dotted, of its size.
    size: images.
    num_replicas: that share it.
    num_parts: in which a replica computes its share, one after the other.
  """

  key: str
  size: int
  num_replicas: int
  num_parts: int = 1

  @property
  def unit(self) -> int:
    return self.num_replicas * self.num_parts

  @property
  def size_that_divides(self) -> int:
    """The size, or the next smaller one that divides, if there is one."""
    return self.size // self.unit * self.unit or self.unit


def check_layout(params: Any, evaluates: bool = True) -> Layout:
  """Divides cores, batches and images as `TPUEstimator` would.

  Args:
    params: the whole config.
    evaluates: whether evaluation is to be looked at.

  Returns:
    The `Layout`; nothing is raised.
  """
  num_cores = params.train.num_shards
  image_size = padded_size(params)
  problems = []
  rows = []
  num_replicas = None
  try:
    num_replicas = hardware_lib.num_training_replicas(params)
  except errors.ConfigError as error:
    problems.append(str(error))
    rows.append(('replicas', 'none of {} cores'.format(num_cores)))
  else:
    rows.append(
      (
        'replicas',
        '{} ({} cores, {} for each replica)'.format(
          num_replicas, num_cores, num_cores // num_replicas
        ),
      )
    )
    # Nothing predicts on a TPU but evaluation, which has a batch of its own.
    read = [_TRAINING]
    if evaluates and hardware_lib.evaluates_on_tpu(params):
      read.append(_EVALUATION)
    for batch in _batches(params):
      if batch.key in read:
        rows.append((batch.key, _describe(batch)))
        problems += _batch_problems(batch)
  rows.append(
    ('padded image', '{} x {} pixels (height x width)'.format(*image_size))
  )
  problems += _block_problems(params, image_size)
  try:
    parts = partitioning.image_parts(params)
  except errors.ConfigError as error:
    problems.append(str(error))
  else:
    if parts:
      rows.append(('parts of an image', ' x '.join(map(str, parts))))
      if num_replicas:
        problems += _part_problems(params, image_size, parts, num_replicas)
  return Layout(num_replicas, rows, problems)


def with_batches_that_divide(params: Any) -> Any:
  """Params that can be built: batches that do not divide are made smaller.

  Args:
    params: the whole config.

  Raises:
    ConfigError: the cores make no replicas.
  """
  changed = params_dict.ParamsDict(params.as_dict())
  for batch in _batches(params):
    block, name = batch.key.split('.')
    changed.override({block: {name: batch.size_that_divides}})
  return changed


def _batches(params: Any) -> List[_Batch]:
  # Only training parts images, so elsewhere each core is a replica.
  num_cores = hardware_lib.num_evaluating_cores(params)
  return [
    _Batch(
      _TRAINING,
      params.train.train_batch_size,
      hardware_lib.num_training_replicas(params),
      params.train.gradient_accumulation_steps,
    ),
    _Batch(_EVALUATION, params.eval.eval_batch_size, num_cores),
  ]


def padded_size(params: Any) -> Tuple[int, int]:
  """Height and width of the network's images, pixels."""
  parser = getattr(params, params.architecture.parser)
  return preprocess_ops.padded_size(
    parser.output_size, 2**params.architecture.max_level
  )


def _describe(batch: _Batch) -> str:
  text = '{} images, {:g} for each of {}'.format(
    batch.size, batch.size / batch.num_replicas, batch.num_replicas
  )
  if batch.num_parts > 1:
    text += ' in {} parts'.format(batch.num_parts)
  return text


def _batch_problems(batch: _Batch) -> List[str]:
  if batch.size % batch.unit == 0:
    return []
  return [
    '{}: {} images do not divide over {} replicas{}. Use a multiple of {}, '
    'such as {}.'.format(
      batch.key,
      batch.size,
      batch.num_replicas,
      ' in {} parts each (train.gradient_accumulation_steps)'.format(
        batch.num_parts
      )
      if batch.num_parts > 1
      else '',
      batch.unit,
      batch.size_that_divides,
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


def _part_problems(
  params: Any,
  size: Tuple[int, int],
  parts: Sequence[int],
  num_replicas: int,
) -> List[str]:
  """Dimensions of a replica's images that do not make equal parts."""
  # With space-to-depth what arrives is the image of blocks.
  block = params.architecture.space_to_depth_block_size
  output_size = 'the {{}} in {}.output_size, padded to a multiple of {}'.format(
    params.architecture.parser, 2**params.architecture.max_level
  )
  height, width = size
  return [
    'train.input_partition_dims: {} does not divide the {} into equal parts: '
    '{} over {}. Change {}, or the parts.'.format(
      list(parts), name, num, part, remedy
    )
    for part, name, num, remedy in zip(
      parts,
      ('images of a replica', 'height', 'width', 'channels'),
      (
        params.train.train_batch_size // num_replicas,
        height // block,
        width // block,
        _NUM_COLORS * block**2,
      ),
      (
        _TRAINING,
        output_size.format('height'),
        output_size.format('width'),
        'architecture.space_to_depth_block_size',
      ),
    )
    if num % part
  ]
