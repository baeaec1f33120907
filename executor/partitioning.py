"""How the cores of a TPU replica share images: train.input_partition_dims."""

from typing import Any, List, Optional, Sequence

import numpy as np

from utils import errors

_NUM_IMAGE_DIMS = 4
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
  key = 'train.input_partition_dims: {}'.format(
    'null' if dims is None else dims
  )
  if dims is None:
    if (num_cores or 1) == 1:
      return None
    raise errors.ConfigError(
      '{}, so the {} cores of a replica (train.num_cores_per_replica) would '
      'all compute the same. Give the parts of an image, such as '
      "[[1, {}, 1, 1], 'None'].".format(key, num_cores, num_cores)
    )
  if num_cores is None:
    raise errors.ConfigError(
      key + ' needs train.num_cores_per_replica, the number of parts.'
    )
  if len(dims) not in (1, 2) or list(dims[1:]) not in ([], [None], ['None']):
    raise errors.ConfigError(
      key + ' has to have one or two items: the parts of an image, and for '
      "labels, of which each core has all, 'None'."
    )
  image = dims[0]
  if image in _NOT_PARTED:
    raise errors.ConfigError(
      '{} does not part the images, which its first item is for. Give their '
      "parts, such as [[1, {}, 1, 1], 'None'].".format(key, num_cores)
    )
  if (
    not isinstance(image, (list, tuple))
    or len(image) != _NUM_IMAGE_DIMS
    or any(type(part) is not int or part < 1 for part in image)
    or np.prod(image) != num_cores
  ):
    raise errors.ConfigError(
      '{}: {} has to be 4 numbers of parts (batch, height, width, channels) '
      'whose product is train.num_cores_per_replica, {}.'.format(
        key, image, num_cores
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
