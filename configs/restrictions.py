"""Restrictions that several models have: functions of the whole params.

Each returns None, or what is wrong and what to do.
"""

import functools
import operator
import re
from typing import Any, Callable, Optional

Restriction = Callable[[Any], Optional[str]]

# Of the TPUs that TensorFlow 1.15 knows, v2 and v3.
CORES_PER_HOST = 8
_PARTS_OF_A_HOST = (1, 2, 4)
# What a `TPUEstimator` can lay out.
_CORES_PER_REPLICA = (1, 2, 4, 8, 16, 32, 64, 128)
_NUM_IMAGE_DIMS = 4

_OPERATORS = {
  '==': operator.eq,
  '!=': operator.ne,
  '<=': operator.le,
  '>=': operator.ge,
  '<': operator.lt,
  '>': operator.gt,
}
_COMPARISON = re.compile(r'^\s*([\w.]+)\s*(==|!=|<=|>=|<|>)\s*([\w.]+)\s*$')


def comparison(text: str) -> Restriction:
  """Returns the restriction that 'left op right' stands for.

  Args:
    text: two dotted keys, with ==, !=, <, <=, > or >= between them.

  Raises:
    ValueError: the text cannot be read.
  """
  match = _COMPARISON.match(text)
  if not match:
    raise ValueError(
      "Restriction '{}' is not 'key op key' with op one of {}.".format(
        text, ' '.join(_OPERATORS)
      )
    )
  left, name, right = match.groups()

  def restriction(params: Any) -> Optional[str]:
    values = params.lookup(left), params.lookup(right)
    try:
      if _OPERATORS[name](*values):
        return None
    except TypeError:
      # Null or a text beside a number.
      pass
    return '{} must hold, but {} is {!r} and {} is {!r}.'.format(
      text, left, values[0], right, values[1]
    )

  return restriction


def tpu_cores(params: Any) -> Optional[str]:
  """A TPU has the cores, and they make whole replicas."""
  if not params.use_tpu:
    return None
  num_cores = params.train.num_shards
  per_replica = params.train.num_cores_per_replica or 1
  if per_replica not in _CORES_PER_REPLICA:
    return (
      'train.num_cores_per_replica: {} cores cannot share a replica; allowed '
      'are {}.'.format(per_replica, ', '.join(map(str, _CORES_PER_REPLICA)))
    )
  if num_cores % CORES_PER_HOST and num_cores not in _PARTS_OF_A_HOST:
    return (
      f'train.num_shards: no TPU has {num_cores} cores. Give a multiple of '
      f'{CORES_PER_HOST}, or 1, 2 or 4, with --num_cores.'
    )
  if num_cores % per_replica:
    return (
      f'train.num_shards: {num_cores} cores do not divide into replicas of '
      f'{per_replica} (train.num_cores_per_replica). Give a multiple of '
      f'{per_replica} with --num_cores.'
    )
  return None


def tpu_image_parts(params: Any) -> Optional[str]:
  """Each core of a replica has a part of its images, and all labels."""
  dims = params.train.input_partition_dims
  num_cores = params.train.num_cores_per_replica
  if not params.use_tpu or (dims is None and (num_cores or 1) == 1):
    return None
  image = dims[0] if dims else None
  if num_cores is None:
    problem = 'needs train.num_cores_per_replica, the number of parts'
  elif image in (None, 'None') or len(dims) > 2:
    problem = (
      f'has to part the images among the {num_cores} cores of a replica '
      '(train.num_cores_per_replica)'
    )
  elif dims[1:] not in ([], [None], ['None']):
    problem = "parts the labels, of which each core has all, 'None'"
  elif (
    not isinstance(image, (list, tuple))
    or len(image) != _NUM_IMAGE_DIMS
    or any(type(part) is not int or part < 1 for part in image)
    or functools.reduce(operator.mul, image) != num_cores
  ):
    problem = (
      'has to have 4 numbers of parts (batch, height, width, channels) whose '
      f'product is train.num_cores_per_replica, {num_cores}'
    )
  else:
    return None
  return 'train.input_partition_dims: {} {}, such as {}.'.format(
    'null' if dims is None else dims,
    problem,
    [[1, num_cores or 2, 1, 1], 'None'],
  )
