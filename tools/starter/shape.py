"""Network, image size and anchors that a time holds."""

import math
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from evaluation.dataset import anchor_fit
from tools.starter import config_text, step_cost
from tools.starter import facts as facts_lib
from tools.starter import networks as networks_lib

# Batch of the fewest steps, from scratch and from a trained backbone.
SMALLEST_BATCH = 8
STEPS = {False: 600, True: 300}
# Of the objects that images are made large enough for.
_SHARE = 0.95
# Their side, in strides of the finest level: what anchors can just meet, and
# what they meet well, which waits until there are so many times the steps.
_SMALL, _WELL, _PLENTY = 2.5, 4.0, 4
# Image sizes are multiples of it, and no smaller than that.
_STRIDE, _SMALLEST = 32, 128
# Images of which share may be smaller than the model's; of which share have to
# be alike in shape, within a factor, for the model's image to have it.
_ENLARGED, _SAME_SHAPE, _ALIKE = 0.25, 0.9, 1.15
# IoU of matching, and what anchors are to have above it: an object that is just
# met is met by one anchor.
_MATCH, _MARGIN = 0.5, 0.1
# Objects that anchors of half the stride have to meet more, since their
# positions are four times as many.
_GAIN = 0.1
# A larger network sees so many times the images for each of its parameters that
# the smallest one sees in its own schedule.
_TIMES = 2
# Seconds from the start to the first step, for an export at the end, and for an
# evaluation besides its images; how many of these take the time of one that
# trains; the share of evaluations in all, and their number.
_START, _EXPORT, _EVALUATION = 15, 20, 12
_PREDICTED, _EVALUATED, _MOST_EVALUATIONS = 2.5, 0.05, 10

_Size = Tuple[int, int]


class Time(NamedTuple):
  """What a training has time for: images, and evaluations of it."""

  images: float
  evaluations: int


class Shape(NamedTuple):
  """What decides how long a step takes.

  Attributes:
    network: with its preset.
    size: (height, width) that images are fitted into, pixels.
    block: levels and anchors; its share is that of `match_threshold`.
    images_per_second: in training.
    time: what it holds.
    small: side that 95 % of the objects reach, pixels of the model's image.
  """

  network: networks_lib.Network
  size: _Size
  block: anchor_fit.Block
  images_per_second: float
  time: Time
  small: float

  def steps(self, batch: int) -> int:
    """A round number of steps that the time holds."""
    return int(self.time.images / batch) // 10 * 10


def choose(
  facts: facts_lib.Facts,
  networks: Sequence[networks_lib.Network],
  seconds: float,
  speed: step_cost.Speed,
  is_warm: bool = False,
) -> Shape:
  """Chooses the largest network that the time trains.

  Args:
    facts: of the data.
    networks: small to large; the first one is taken in any case.
    seconds: of the training, all in all.
    speed: of the machine.
    is_warm: whether the backbone is trained already.
  """
  first = networks[0]
  seen = first.schedule['train.total_steps'] * first.batch
  chosen = _fitted(facts, first, seconds, speed, is_warm)
  for network in networks[1:]:
    needed = _TIMES * seen * network.preset.parameters / first.preset.parameters
    if chosen.time.images < needed:
      break
    larger = _fitted(facts, network, seconds, speed, is_warm)
    if larger.time.images >= needed:
      chosen = larger
  return chosen


def settings(
  network: networks_lib.Network, block: anchor_fit.Block, num_classes: int
) -> Dict[str, Any]:
  """Parameters that make a network, nested."""
  nested = config_text.tree(
    {**network.settings, 'architecture.num_classes': num_classes}
  )
  changes = block.changes()
  nested['architecture'].update(changes['architecture'])
  return {**nested, 'anchor': changes['anchor']}


def time_for(
  seconds: float, images_per_second: float, num_evaluated: int
) -> Time:
  """Leaves out start, export and evaluations of `seconds` in all."""
  evaluation = _EVALUATION + num_evaluated / (_PREDICTED * images_per_second)
  number = int(_EVALUATED * seconds / evaluation)
  number = min(max(number, 1), _MOST_EVALUATIONS)
  left = seconds - _START - _EXPORT - number * evaluation
  return Time(max(left, 0) * images_per_second, number)


def _fitted(
  facts: facts_lib.Facts,
  network: networks_lib.Network,
  seconds: float,
  speed: step_cost.Speed,
  is_warm: bool,
) -> Shape:
  """The network with the finest level that meets the objects of its size."""
  shapes = []
  for finest in network.finest:
    # What is chosen in the end costs about the same.
    usual = anchor_fit.Block(finest, 5, 3, [1.0], 3.0, 0)
    values = settings(network, usual, facts.num_classes)

    def time(size: _Size, values: Dict[str, Any] = values) -> Time:
      return time_for(seconds, speed.of(values, size), facts.num_evaluated)

    size = _size(facts, finest, time, STEPS[is_warm])
    boxes = anchor_fit.in_model(facts.boxes, facts.box_image_sizes, size)
    # The levels whose strides divide it.
    levels = [
      (low, high)
      for low, high in anchor_fit.level_ranges(size, finest)
      if not (size[0] % 2**high or size[1] % 2**high)
    ]
    block = anchor_fit.fit(boxes, size, _MATCH + _MARGIN, levels)
    share = anchor_fit.met(block.anchors(size), boxes, _MATCH).mean()
    rate = speed.of(values, size)
    block = block._replace(share=float(share))
    shapes.append(
      Shape(network, size, block, rate, time(size), _reached(facts, size))
    )
  best, *finer = shapes
  for other in finer:
    if other.block.share >= best.block.share + _GAIN:
      best = other
  return best


def _size(
  facts: facts_lib.Facts,
  finest: int,
  time: Callable[[_Size], Time],
  steps: int,
) -> _Size:
  """The smallest size at which objects can be met, if the time holds it."""
  best, *larger = _sizes(facts)
  for size in larger:
    strides = _reached(facts, best) / 2**finest
    needed = steps if strides < _SMALL else steps * _PLENTY
    if strides >= _WELL or time(size).images < needed * SMALLEST_BATCH:
      break
    best = size
  return best


def _sizes(facts: facts_lib.Facts) -> List[_Size]:
  """Sizes of the shape of the images, none above what they have."""
  heights, widths = facts.image_sizes.T
  ratios = widths / heights
  ratio = float(np.median(ratios))
  is_alike = np.abs(np.log(ratios / ratio)) < math.log(_ALIKE)
  if is_alike.mean() < _SAME_SHAPE:
    ratio = 1.0
  native = np.quantile(np.maximum(heights, widths), 1 - _ENLARGED)
  sizes = []
  for side in range(_SMALLEST, max(int(native), _SMALLEST) + _STRIDE, _STRIDE):
    short = math.ceil(side * min(ratio, 1 / ratio) / _STRIDE) * _STRIDE
    sizes.append((short, side) if ratio >= 1 else (side, short))
  return sizes


def _reached(facts: facts_lib.Facts, size: _Size) -> float:
  boxes = anchor_fit.in_model(facts.boxes, facts.box_image_sizes, size)
  areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  return float(np.sqrt(np.quantile(areas, 1 - _SHARE)))
