"""Division of images over the cores of a TPU replica."""

from typing import Any, List, Optional, Sequence, Tuple

_NUM_COLORS = 3
# [height, width, channels, batch] seen from [batch, height, width, channels],
# and [height, width, batch, channels], as space-to-depth leaves images.
_TRANSPOSED_AXES = (1, 2, 3, 0)
_TRANSPOSED_AXES_SPACE_TO_DEPTH = (1, 2, 0, 3)


def image_parts(params: Any) -> Optional[Sequence[int]]:
  """Parts of [batch, height, width, channels]; None: a replica is one core."""
  dims = params.train.input_partition_dims
  return dims[0] if dims else None


def input_partition_dims(params: Any) -> Optional[List[Any]]:
  """What a `TPUConfig` is told: parts of images, in their order, and labels."""
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
