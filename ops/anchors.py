"""Multiscale anchor boxes, as numpy constants."""

import math
from typing import Any, Dict, NamedTuple, Sequence, Tuple

import numpy as np


class AnchorType(NamedTuple):
  """Anchors of one level, octave and aspect ratio: one box, shifted on a grid.

  Attributes:
    level: pyramid level; the grid's stride is 2^level pixels.
    half_height, half_width: half the sides of the box in pixels.
    grid_height, grid_width: number of positions.
    first_index: index of the anchor at position (0, 0) among all anchors.
    index_step: difference of the indices of neighbours in a row.
  """

  level: int
  half_height: np.float32
  half_width: np.float32
  grid_height: int
  grid_width: int
  first_index: int
  index_step: int


class Anchors:
  """Anchors of RetinaNet (Lin et al., arXiv:1708.02002).

  The order of all anchors is level, y, x, octave, aspect ratio. They are
  centred on the cells of each level's grid and not clipped to the image.

  Args:
    min_level: finest level.
    max_level: coarsest level.
    num_scales: octaves a level; octave i scales a box by 2^(i / num_scales).
    aspect_ratios: width / height of the boxes.
    anchor_size: side of a square box of octave 0, in strides.
    image_size: (height, width) of the padded image in pixels, both multiples
      of 2^max_level.

  Attributes:
    types: one `AnchorType` for each level, octave and aspect ratio.
    anchors_per_location: number of types of a level.
    num_anchors: number of anchors of all levels.
  """

  def __init__(
    self,
    min_level: int,
    max_level: int,
    num_scales: int,
    aspect_ratios: Sequence[float],
    anchor_size: float,
    image_size: Tuple[int, int],
  ):
    height, width = image_size
    if height % 2**max_level or width % 2**max_level:
      raise ValueError(
        f'Image size {height} x {width} is not a multiple of {2**max_level}, '
        f'the stride of level {max_level}.'
      )
    self.anchors_per_location = num_scales * len(aspect_ratios)
    self.types = []
    self.num_anchors = 0
    for level in range(min_level, max_level + 1):
      stride = 2**level
      grid = (height // stride, width // stride)
      for octave in range(num_scales):
        half = anchor_size * stride * 2 ** (octave / num_scales) / 2
        for ratio in aspect_ratios:
          index = len(self.types) % self.anchors_per_location
          self.types.append(
            AnchorType(
              level=level,
              half_height=np.float32(half / math.sqrt(ratio)),
              half_width=np.float32(half * math.sqrt(ratio)),
              grid_height=grid[0],
              grid_width=grid[1],
              first_index=self.num_anchors + index,
              index_step=self.anchors_per_location,
            )
          )
      self.num_anchors += grid[0] * grid[1] * self.anchors_per_location

  @property
  def grid_sizes(self) -> Dict[int, Tuple[int, int]]:
    """{level: (height, width)} of the grid of positions."""
    return {t.level: (t.grid_height, t.grid_width) for t in self.types}

  @property
  def boxes_by_level(self) -> Dict[int, np.ndarray]:
    """{level: float32 [h * w * A, 4]}, pixels, `[ymin, xmin, ymax, xmax]`."""
    return {
      level: np.stack(
        [_boxes(t) for t in self.types if t.level == level], axis=2
      ).reshape([-1, 4])
      for level in self.grid_sizes
    }


def from_params(params: Any, image_size: Tuple[int, int]) -> Anchors:
  """Anchors of a config, for a network's (height, width) in pixels."""
  return Anchors(
    params.architecture.min_level,
    params.architecture.max_level,
    params.anchor.num_scales,
    params.anchor.aspect_ratios,
    params.anchor.anchor_size,
    image_size,
  )


def centers(level: int, count: int) -> np.ndarray:
  """Coordinates of the first `count` centres of a level, pixels, float32."""
  return (np.arange(count, dtype=np.float32) + np.float32(0.5)) * 2**level


def _boxes(anchor_type: AnchorType) -> np.ndarray:
  """[grid_height, grid_width, 4]."""
  y, x = np.meshgrid(
    centers(anchor_type.level, anchor_type.grid_height),
    centers(anchor_type.level, anchor_type.grid_width),
    indexing='ij',
  )
  return np.stack(
    [
      y - anchor_type.half_height,
      x - anchor_type.half_width,
      y + anchor_type.half_height,
      x + anchor_type.half_width,
    ],
    axis=-1,
  )
