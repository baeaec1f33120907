"""Anchors against the objects of a data set."""

import functools
import itertools
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from configs import factory
from ops import anchors as anchors_lib
from ops import preprocess_ops

# Levels of the usual pyramids.
_LEVELS = range(3, 8)
# Candidates of `fit`.
_OCTAVES = (1, 2, 3)
_MOST_RATIOS = 3
_SIZES = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
# Objects that a candidate is tried on, and objects that it may lose beside the
# best one.
_MOST_TRIED = 2000
_TOLERANCE = 0.01
_ROUNDS = 20
# A class is far below the rest if anchors meet less than so many times the
# share that they meet of all objects.
_FAR_BELOW = 0.5
# Factors within which a shape is as good as a square, or as another one.
_SQUARE, _ALIKE = 1.15, 1.3


class Block(NamedTuple):
  """Anchors as a config describes them.

  Attributes:
    min_level, max_level: of `architecture`.
    num_scales, aspect_ratios, anchor_size: of `anchor`.
    share: of the objects that these anchors meet.
  """

  min_level: int
  max_level: int
  num_scales: int
  aspect_ratios: List[float]
  anchor_size: float
  share: float

  def anchors(self, image_size: Tuple[int, int]) -> anchors_lib.Anchors:
    """The anchors of an image of (height, width) pixels, once it is padded."""
    padded = preprocess_ops.padded_size(image_size, 2**self.max_level)
    return anchors_lib.Anchors(*self[:5], padded)

  def changes(self) -> Dict[str, Dict[str, Any]]:
    """Parameters, nested."""
    return {
      'architecture': dict(zip(self._fields[:2], self)),
      'anchor': dict(zip(self._fields[2:5], self[2:])),
    }


def of_config(params: Any) -> Optional[Tuple[anchors_lib.Anchors, float]]:
  """Anchors of a config, and the IoU from which one meets an object.

  None for a model without anchors.
  """
  settings = factory.parser_settings(params).as_dict()
  threshold = settings.get(
    'match_threshold', settings.get('rpn_match_threshold')
  )
  if threshold is None:
    return None
  stride = 2**params.architecture.max_level
  padded = preprocess_ops.padded_size(settings['output_size'], stride)
  return anchors_lib.from_params(params, padded), threshold


def in_model(
  boxes: np.ndarray, image_sizes: np.ndarray, output_size: Tuple[int, int]
) -> np.ndarray:
  """Boxes as a detector without jitter sees them.

  Args:
    boxes: [M, 4], `[ymin, xmin, ymax, xmax]`, shares of the image's sides.
    image_sizes: [M, 2], (height, width) in pixels of the image of each box.
    output_size: (height, width) that images are fitted into, pixels.

  Returns:
    float32 [M, 4], pixels of the padded image.
  """
  factor = np.min(np.float32(output_size) / image_sizes, axis=1, keepdims=True)
  fitted = np.maximum(np.round(image_sizes * factor), 1)
  return np.float32(boxes * np.tile(fitted, [1, 2]))


def met(
  anchors: anchors_lib.Anchors, boxes: np.ndarray, threshold: float
) -> np.ndarray:
  """Whether any anchor reaches the matching threshold, bool [M].

  The anchors of a type are one box on a grid, of which the nearest one has the
  largest overlap; numbers are those of `ops.matcher`.

  Args:
    anchors: of the padded image.
    boxes: float32 [M, 4], `[ymin, xmin, ymax, xmax]`, pixels of that image;
      one without area meets none.
    threshold: `match_threshold` of the parser, above 0.
  """
  box_min, box_max = np.float32(boxes[:, :2]).T, np.float32(boxes[:, 2:]).T
  area = np.prod(np.maximum(box_max - box_min, 0), axis=0)
  best = np.zeros(len(boxes), np.float32)
  for kind in anchors.types:
    stride = np.float32(2**kind.level)
    half = np.float32([[kind.half_height], [kind.half_width]])
    last = np.float32([[kind.grid_height - 1], [kind.grid_width - 1]])
    nearest = np.floor((box_min + box_max) * (np.float32(0.5) / stride))
    center = (np.clip(nearest, 0, last) + np.float32(0.5)) * stride
    low, high = center - half, center + half
    overlap = np.minimum(box_max, high) - np.maximum(box_min, low)
    shared = np.prod(np.maximum(overlap, 0), axis=0)
    union = area + np.prod(high - low, axis=0) - shared
    best = np.maximum(best, shared / union)
  return (area > 0) & (best >= np.float32(threshold))


def worst_class(
  is_met: np.ndarray, classes: np.ndarray
) -> Optional[Tuple[int, float]]:
  """The class that anchors meet least, if that is far below the rest.

  Args:
    is_met: bool [M], as of `met`.
    classes: int [M].

  Returns:
    Its id, and the share of its objects that they meet; None if they meet all
    classes alike.
  """
  shares = {i: float(is_met[classes == i].mean()) for i in np.unique(classes)}
  worst = min(shares, key=shares.get, default=None)
  if worst is None or shares[worst] >= _FAR_BELOW * is_met.mean():
    return None
  return int(worst), shares[worst]


def fit(
  boxes: np.ndarray,
  image_size: Tuple[int, int],
  threshold: float,
  levels: Optional[Sequence[Tuple[int, int]]] = None,
) -> Block:
  """Chooses few anchors that meet nearly as many boxes as any.

  Shapes are centres of k-means whose distance is 1 - IoU (Redmon and Farhadi,
  arXiv:1612.08242), between boxes of one area, since levels and octaves give
  every shape all sizes. Of levels, octaves, shapes and sizes, the fewest
  anchors a position count, then the fewest levels, then the boxes they meet.

  Args:
    boxes: float32 [M, 4], `[ymin, xmin, ymax, xmax]`, pixels of the padded
      image, with area; M is at least 1.
    image_size: (height, width) that images are fitted into, pixels.
    threshold: IoU from which an anchor meets a box.
    levels: those that it may choose, each (min_level, max_level); by default
      from 3 to any whose stride is within the image.
  """
  tried = boxes[:: -(-len(boxes) // _MOST_TRIED)]
  heights, widths = (tried[:, 2:] - tried[:, :2]).T

  @functools.lru_cache(maxsize=None)
  def met_by(level: int, ratio: float, size: float) -> np.ndarray:
    block = Block(level, level, 1, [ratio], size, 0)
    return met(block.anchors(image_size), tried, threshold)

  candidates = []
  levels = levels or [
    (_LEVELS[0], level) for level in _LEVELS if 2**level <= max(image_size)
  ]
  for (low, high), octaves, ratios, size in itertools.product(
    levels,
    _OCTAVES,
    _ratio_lists(widths / heights),
    _SIZES,
  ):
    each = itertools.product(range(low, high + 1), ratios, range(octaves))
    is_met = np.any(
      [met_by(x, ratio, size * 2 ** (i / octaves)) for x, ratio, i in each],
      axis=0,
    )
    candidates.append(
      Block(low, high, octaves, ratios, size, float(is_met.mean()))
    )
  enough = max(c.share for c in candidates) - _TOLERANCE
  best = min(
    (c for c in candidates if c.share >= enough),
    key=lambda c: (c.num_scales * len(c.aspect_ratios), c.max_level, -c.share),
  )
  is_met = met(best.anchors(image_size), boxes, threshold)
  return best._replace(share=float(is_met.mean()))


def _ratio_lists(ratios: np.ndarray) -> List[List[float]]:
  """Centres of 1, 2, ... clusters of width / height, if they differ."""
  lists = []
  for count in range(1, _MOST_RATIOS + 1):
    rounded = [
      1.0 if 1 / _SQUARE < ratio < _SQUARE else float(f'{ratio:.2g}')
      for ratio in _centres(ratios, count)
    ]
    found = sorted(set(rounded))
    differ = all(b >= a * _ALIKE for a, b in zip(found, found[1:]))
    if differ and found not in lists:
      lists.append(found)
  return lists


def _centres(ratios: np.ndarray, count: int) -> np.ndarray:
  """K-means of width / height; of one area, the nearest in log shares most."""
  logs = np.log(ratios)
  centres = np.quantile(logs, (np.arange(count) + 0.5) / count)
  for _ in range(_ROUNDS):
    nearest = np.argmin(np.abs(logs[:, np.newaxis] - centres), axis=1)
    for i in np.unique(nearest):
      centres[i] = np.median(logs[nearest == i])
  return np.exp(centres)
