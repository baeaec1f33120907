"""Which part of the network an operation belongs to, by its scope."""

import math
import re
from typing import Optional, Sequence

from executor.preflight import op_names

# Layers and operations that stand in their network's scope without a scope of
# their own; of these a group is all that has the same stride.
_PLAIN_LAYER = re.compile(r'([a-z_]*conv2d|batch_normalization)(_\d+)?$')
_HEAD = re.compile(r'(class_net|box_net)(?:_(\d+))?$')

LOSS = 'losses'
INPUT = 'input'


class LayerGroups:
  """Names groups of layers.

  Args:
    image_height: of the network's image, pixels.
    min_level: the level of a head's first copy.
  """

  def __init__(self, image_height: int, min_level: int):
    self._image_height = image_height
    self._min_level = min_level

  def name(self, op_name: str, shape: Optional[Sequence[int]]) -> str:
    """The group of an operation, as 'resnet50, stride 8'.

    Args:
      op_name: with scopes.
      shape: of its output; with 4 dimensions, [batch, height, width, channels].
    """
    top, *inner = op_names.of_part(op_name).split('/')
    if not inner:
      return INPUT
    if top == LOSS:
      return LOSS
    head = _HEAD.match(inner[0])
    if head:
      return '{}, level {}'.format(
        head.group(1), self._min_level + int(head.group(2) or 0)
      )
    if len(inner) > 1 and not _PLAIN_LAYER.match(inner[0]) and top != 'fpn':
      return '{}/{}'.format(top, inner[0])
    if shape is not None and len(shape) == 4 and shape[1]:
      # A padded tensor is a little larger than its stride says.
      exponent = round(math.log2(self._image_height / shape[1]))
      return '{}, stride {:g}'.format(top, 2**exponent)
    return top
