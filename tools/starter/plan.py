"""Network, image size, anchors and batch that a time holds."""

import math
from typing import Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from evaluation.dataset import anchor_fit
from executor import step_memory
from tools.starter import step_cost
from tools.starter.facts import Facts
from tools.starter.networks import Network
from utils import errors

# Batch of the fewest steps, from scratch and from a trained backbone, and the
# steps below which a training is none.
_BATCH, _STEPS, _WARM_STEPS, _FEWEST_STEPS = 8, 600, 300, 50
# Of the machine's memory, what a batch may hold.
_MEMORY = 0.5
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
_COARSEST = 7
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


class Plan(NamedTuple):
  """What the time is used for.

  Attributes:
    network: with its preset.
    batch: images of a step.
    size: (height, width) that images are fitted into, pixels.
    small: side that 95 % of the objects reach there, pixels.
    block: levels and anchors; its share is that of `match_threshold`.
    images_per_second: in training.
    images: that the time holds.
    evaluations: that it holds besides.
  """

  network: Network
  batch: int
  size: Tuple[int, int]
  small: float
  block: anchor_fit.Block
  images_per_second: float
  images: float
  evaluations: int

  @property
  def steps(self) -> int:
    """A round number."""
    return int(self.images / self.batch) // 10 * 10


def choose(
  facts: Facts,
  networks: Sequence[Network],
  minutes: float,
  speed: float,
) -> Plan:
  """Chooses the largest network that the time trains, and all else for it.

  Args:
    facts: of the data.
    networks: small to large; the first one is taken in any case.
    minutes: of the training, all in all.
    speed: multiply-adds of the forward pass that a machine trains a second.

  Raises:
    ConfigError: the minutes are too few.
  """
  search = _Search(facts, minutes, speed)
  first = networks[0]
  seen = first.schedule['train.total_steps'] * first.batch
  plan = search.of_network(first)
  for network in networks[1:]:
    needed = _TIMES * seen * network.preset.parameters / first.preset.parameters
    if plan.images < needed:
      break
    larger = search.of_network(network)
    if larger.images >= needed:
      plan = larger
  plan = _with_batch(plan, facts.num_classes, step_memory.of_machine())
  if plan.steps < _FEWEST_STEPS:
    raise errors.ConfigError(
      f'--minutes={minutes:g}: they hold {plan.steps} steps, and a training '
      f'needs {_FEWEST_STEPS}. Give more minutes.'
    )
  return plan


def _with_batch(plan: Plan, num_classes: int, available: int) -> Plan:
  """The batch, halved until it leaves steps and fits memory (bytes)."""
  config = plan.network.config(plan.block, num_classes)
  each = step_cost.memory(config) * plan.size[0] * plan.size[1]
  while plan.batch > _BATCH and plan.steps < _STEPS:
    plan = plan._replace(batch=plan.batch // 2)
  while plan.batch > 1 and plan.batch * each > _MEMORY * available:
    plan = plan._replace(batch=plan.batch // 2)
  return plan


def time_for(
  minutes: float, images_per_second: float, num_evaluated: int
) -> Tuple[float, int]:
  """Images to train on, and evaluations, besides start and export."""
  evaluation = _EVALUATION + num_evaluated / (_PREDICTED * images_per_second)
  number = int(_EVALUATED * 60 * minutes / evaluation)
  number = min(max(number, 1), _MOST_EVALUATIONS)
  left = 60 * minutes - _START - _EXPORT - number * evaluation
  return max(left, 0) * images_per_second, number


def shortcomings(facts: Facts, plan: Plan) -> Iterator[str]:
  """Says what the time is too short for, and what to do."""
  if plan.small < _SMALL * 2**plan.block.min_level:
    yield (
      f'Objects of {plan.small:.0f} pixels are too small for the strides, and '
      'larger images too slow: give more --minutes for better results.'
    )
  boxes = anchor_fit.in_model(facts.boxes, facts.box_image_sizes, plan.size)
  is_met = anchor_fit.met(plan.block.anchors(plan.size), boxes, _MATCH)
  worst = anchor_fit.worst_class(is_met, facts.box_classes)
  if worst:
    class_id, share = worst
    yield (
      f'Anchors meet {share:.0%} of {facts.names.get(class_id, class_id)} in '
      f'images of {plan.size[0]} x {plan.size[1]}: give more --minutes, or '
      'enlarge retinanet_parser.output_size and fit the anchors by '
      'tools/check_dataset.py.'
    )


class _Search:
  """Image size and anchors of a network for some data, minutes and speed."""

  def __init__(self, facts: Facts, minutes: float, speed: float):
    self._facts, self._minutes, self._speed = facts, minutes, speed

  def of_network(self, network: Network) -> Plan:
    """With the finest level that meets the objects of its size."""
    best = None
    for finest in network.finest:
      plan = self._sized(network, finest)
      boxes = self._boxes(plan.size)
      # The levels whose strides divide it.
      levels = [
        (finest, level)
        for level in range(finest, _COARSEST + 1)
        if plan.size[0] % 2**level == plan.size[1] % 2**level == 0
      ]
      block = anchor_fit.fit(boxes, plan.size, _MATCH + _MARGIN, levels)
      share = anchor_fit.met(block.anchors(plan.size), boxes, _MATCH).mean()
      if not best or share >= best.block.share + _GAIN:
        best = plan._replace(block=block._replace(share=float(share)))
    return best

  def _sized(self, network: Network, finest: int) -> Plan:
    """The smallest size at which objects can be met, if the time holds it."""
    # What is chosen in the end costs about the same.
    usual = anchor_fit.Block(finest, 5, 3, [1.0], 3.0, 0)
    config = network.config(usual, self._facts.num_classes)
    cost = step_cost.multiply_adds(config)
    steps = _WARM_STEPS if network.checkpoint else _STEPS
    plan = None
    for size in _sizes(self._facts.image_sizes):
      rate = self._speed / (cost * size[0] * size[1])
      time = time_for(self._minutes, rate, self._facts.num_evaluated)
      if plan:
        strides = plan.small / 2**finest
        needed = steps if strides < _SMALL else steps * _PLENTY
        if strides >= _WELL or time[0] < needed * _BATCH:
          break
      boxes = self._boxes(size)
      areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
      small = float(np.sqrt(np.quantile(areas, 1 - _SHARE)))
      plan = Plan(network, network.batch, size, small, usual, rate, *time)
    return plan

  def _boxes(self, size: Tuple[int, int]) -> np.ndarray:
    facts = self._facts
    return anchor_fit.in_model(facts.boxes, facts.box_image_sizes, size)


def _sizes(image_sizes: np.ndarray) -> List[Tuple[int, int]]:
  """Sizes of the shape of the images, none above what they have."""
  heights, widths = image_sizes.T
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
