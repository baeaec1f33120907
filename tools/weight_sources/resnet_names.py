"""ResNets of torchvision and timm, under the names of this project."""

import math
import re
from typing import (
  Dict,
  Iterable,
  Iterator,
  List,
  Mapping,
  Optional,
  Sequence,
  Set,
  Tuple,
)

import numpy as np

from modeling.architecture import residual_blocks
from modeling.architecture.backbones import resnet
from utils import errors

# Of their batch norms.
EPSILON = 1e-5

_BATCH_NORM = {
  'gamma': 'weight',
  'beta': 'bias',
  'moving_mean': 'running_mean',
  'moving_variance': 'running_var',
}
_DATA_PARALLEL = 'module.'
# The classifier, and a count that only training reads.
_UNUSED = re.compile(r'fc\.|.*\.num_batches_tracked$')
# Blocks without a bottleneck have no projection there where widths agree.
_IDENTITY = 'layer1.0.downsample.'
_BLOCK = re.compile(r'layer(\d)\.(\d+)\.')
_NUM_NAMES = 4


def to_variables(
  tensors: Mapping[str, np.ndarray],
  depth: int,
  scope: str,
  shapes: Mapping[str, Sequence[int]],
  path: str,
) -> Dict[str, np.ndarray]:
  """Returns a value for each variable of a ResNet.

  Args:
    tensors: a state dict; convolutions are [out, in, height, width].
    depth: a name in `resnet.DEPTHS`.
    scope: of the variables.
    shapes: {name of a variable: its shape}, all of the backbone's.
    path: of the file, for messages.

  Returns:
    {name of a variable: float32}; convolutions are [height, width, in, out].

  Raises:
    errors.DataError: another depth, another kind of ResNet, or a tensor that
      is missing or of another shape; the message names it.
  """
  if all(name.startswith(_DATA_PARALLEL) for name in tensors):
    tensors = {k[len(_DATA_PARALLEL) :]: v for k, v in tensors.items()}
  names = _names_there(depth, scope)
  _check_names(tensors, set(names.values()), depth, path)
  for variable, name in names.items():
    shape = list(shapes[variable])
    wanted = [shape[axis] for axis in (3, 2, 0, 1)] if shape[1:] else shape
    if name in tensors and list(tensors[name].shape) != wanted:
      raise errors.DataError(
        f"'{path}': {name} is of shape {list(tensors[name].shape)}, but of "
        f'{wanted} in a ResNet-{depth}.'
      )
  if not _has_bottlenecks(depth):
    tensors = {**_identity_shortcut(tensors), **tensors}
  values = {}
  for variable, name in names.items():
    value = np.asarray(tensors[name], np.float32)
    values[variable] = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
  return values


def _has_bottlenecks(depth: int) -> bool:
  block, _ = resnet.DEPTHS.get(depth)
  return block is residual_blocks.bottleneck_block


def _layers(depth: int) -> Iterator[Tuple[str, str]]:
  """Names there of convolutions and their batch norms, in the order here."""
  num_convolutions = 3 if _has_bottlenecks(depth) else 2
  _, repeats = resnet.DEPTHS.get(depth)
  yield 'conv1', 'bn1'
  for stage, num_blocks in enumerate(repeats, 1):
    for block in range(num_blocks):
      prefix = f'layer{stage}.{block}.'
      if block == 0:
        yield prefix + 'downsample.0', prefix + 'downsample.1'
      for number in range(1, num_convolutions + 1):
        yield f'{prefix}conv{number}', f'{prefix}bn{number}'


def _names_there(depth: int, scope: str) -> Dict[str, str]:
  """Returns {name of a variable: name of its tensor there}."""
  names = {}
  for index, (convolution, batch_norm) in enumerate(_layers(depth)):
    number = f'_{index}' if index else ''
    names[f'{scope}/conv2d{number}/kernel'] = convolution + '.weight'
    for leaf, name in _BATCH_NORM.items():
      variable = f'{scope}/batch_normalization{number}/{leaf}'
      names[variable] = f'{batch_norm}.{name}'
  return names


def _check_names(
  tensors: Iterable[str], names: Set[str], depth: int, path: str
) -> None:
  """Raises DataError unless the tensors are those of a ResNet."""
  found = _depth_of(tensors)
  if found not in (None, depth):
    raise errors.DataError(
      f"'{path}' holds a ResNet-{found}, not a ResNet-{depth}. Give "
      f'--depth={found}.'
    )
  missing = sorted(names - set(tensors))
  if not _has_bottlenecks(depth):
    missing = [name for name in missing if not name.startswith(_IDENTITY)]
  others = sorted(set(tensors) - names)
  others = [name for name in others if not _UNUSED.match(name)]
  if missing or others:
    raise errors.DataError(
      f"'{path}' is not the ResNet-{depth} of torchvision or timm: it lacks "
      f'{_listed(missing)}, and has {_listed(others)} besides. Deep stems '
      '(resnet50d), squeeze-excitation and other blocks make another network.'
    )


def _listed(names: List[str]) -> str:
  more = f' and {len(names) - _NUM_NAMES} more'
  shown = ', '.join(names[:_NUM_NAMES]) or 'nothing'
  return shown + (more if len(names) > _NUM_NAMES else '')


def _depth_of(tensors: Iterable[str]) -> Optional[int]:
  """Returns the depth whose number and kind of blocks these are, or None."""
  blocks = {match.groups() for match in map(_BLOCK.match, tensors) if match}
  stages = [stage for stage, _ in blocks]
  repeats = tuple(stages.count(stage) for stage in sorted(set(stages)))
  has_bottlenecks = any(name.endswith('.conv3.weight') for name in tensors)
  for depth in resnet.DEPTHS.names():
    _, known = resnet.DEPTHS.get(depth)
    if (known, _has_bottlenecks(depth)) == (repeats, has_bottlenecks):
      return depth
  return None


def _identity_shortcut(
  tensors: Mapping[str, np.ndarray],
) -> Dict[str, np.ndarray]:
  """A projection, with batch norm, that leaves its input as it is.

  At inference any mean and variance do, with gamma and beta that undo them. In
  training a batch brings its own, so they are estimated: what `bn1` gives has
  the mean beta and the deviation gamma, and ReLU follows (the pooling after it
  is left aside).
  """
  mean = tensors['bn1.bias'].astype(np.float64)
  deviation = np.maximum(np.abs(tensors['bn1.weight']), 1e-6)
  ratio = mean / deviation
  above = 0.5 + 0.5 * np.vectorize(math.erf)(ratio / math.sqrt(2))
  density = np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
  rectified = mean * above + deviation * density
  square = (mean**2 + deviation**2) * above + mean * deviation * density
  variance = np.maximum(square - rectified**2, 0)
  return {
    _IDENTITY + '0.weight': np.eye(len(mean))[:, :, None, None],
    _IDENTITY + '1.weight': np.sqrt(variance + EPSILON),
    _IDENTITY + '1.bias': rectified,
    _IDENTITY + '1.running_mean': rectified,
    _IDENTITY + '1.running_var': variance,
  }
