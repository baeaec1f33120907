"""How the cores of a TPU replica share images: train.input_partition_dims."""

from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from utils import errors

_NUM_IMAGE_DIMS = 4
_NUM_COLORS = 3
_NOT_PARTED = (None, 'None')
# [height, width, channels, batch] seen from [batch, height, width, channels],
# and [height, width, batch, channels], as space-to-depth leaves images.
_TRANSPOSED_AXES = (1, 2, 3, 0)
_TRANSPOSED_AXES_SPACE_TO_DEPTH = (1, 2, 0, 3)


def image_parts(params: Any) -> Optional[Sequence[int]]:
  """Parts of [batch, height, width, channels]; None: a replica is one core.

  Args:
    params: the whole config.

  Raises:
    ConfigError: the parts are not those of the cores of a replica.
  """
  dims = params.train.input_partition_dims
  num_cores = params.train.num_cores_per_replica
  if dims is None and (num_cores or 1) == 1:
    return None
  image = dims[0] if dims else None
  problem = None
  if num_cores is None:
    problem = 'needs train.num_cores_per_replica, the number of parts'
  elif image in _NOT_PARTED or len(dims) > 2:
    problem = (
      'has to part the images among the {} cores of a replica '
      '(train.num_cores_per_replica)'
    )
  elif list(dims[1:]) not in ([], [None], ['None']):
    problem = "parts the labels, of which each core has all, 'None'"
  elif (
    not isinstance(image, (list, tuple))
    or len(image) != _NUM_IMAGE_DIMS
    or any(type(part) is not int or part < 1 for part in image)
    or np.prod(image) != num_cores
  ):
    problem = (
      'has to have 4 numbers of parts (batch, height, width, channels) whose '
      'product is train.num_cores_per_replica, {}'
    )
  if problem:
    raise errors.ConfigError(
      'train.input_partition_dims: {} {}, such as '
      "[[1, {}, 1, 1], 'None'].".format(
        'null' if dims is None else dims,
        problem.format(num_cores),
        num_cores or 2,
      )
    )
  return image


def input_partition_dims(params: Any) -> Optional[List[Any]]:
  """What a `TPUConfig` is told: parts of images, in their order, and labels.

  Args:
    params: the whole config.

  Raises:
    ConfigError: see `image_parts`.
  """
  parts = image_parts(params)
  if parts is None:
    return None
  if params.train.transpose_input:
    axes = (
      _TRANSPOSED_AXES_SPACE_TO_DEPTH
      if params.architecture.space_to_depth_block_size > 1
      else _TRANSPOSED_AXES
    )
    parts = [parts[axis] for axis in axes]
  return [list(parts), None]


def uneven_parts(
  params: Any, size: Tuple[int, int], num_replicas: int
) -> List[str]:
  """Messages about dimensions of images that do not make equal parts.

  Args:
    params: the whole config, whose `image_parts` there are.
    size: height and width of the network's images, pixels.
    num_replicas: copies of the model.
  """
  parts = image_parts(params)
  # With space-to-depth what arrives is the image of blocks.
  block = params.architecture.space_to_depth_block_size
  size_key = params.architecture.parser + '.output_size'
  dimensions = (
    (
      'images of a replica',
      params.train.train_batch_size // num_replicas,
      'train.train_batch_size',
    ),
    ('height', size[0] // block, size_key),
    ('width', size[1] // block, size_key),
    (
      'channels',
      _NUM_COLORS * block**2,
      'architecture.space_to_depth_block_size',
    ),
  )
  return [
    f'train.input_partition_dims: {list(parts)} does not divide the {name} '
    f'into equal parts: {number} over {part}. Change {remedy}, or the parts.'
    for part, (name, number, remedy) in zip(parts, dimensions)
    if number % part
  ]
