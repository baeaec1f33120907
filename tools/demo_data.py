"""A synthetic detection set: shapes on textured backgrounds.

Everything about an image follows from the seed and its number, so the set is
the same on every machine.
"""

import math
import os
from typing import List, NamedTuple, Tuple

import numpy as np
import tqdm
from PIL import Image, ImageDraw

from tools.record_sources import annotations
from utils import mask_utils

LABEL_MAP = {1: 'circle', 2: 'square', 3: 'triangle', 4: 'star', 5: 'ring'}

IMAGE_SIZE = 160
_SMALLEST, _LARGEST = 22, 64  # side of a shape, pixels
_MAX_OBJECTS = 6
_MAX_TRIES = 20  # to place the shapes of one image
_MAX_OVERLAP = 0.1  # intersection over the smaller box
_SUPERSAMPLING = 4  # for smooth edges
_MIN_CONTRAST = 70.0  # grey levels between a shape and what is behind it


class SyntheticImage(NamedTuple):
  """An RGB image [H, W, 3] uint8 and its boxes in pixels, with masks."""

  pixels: np.ndarray
  boxes: List[annotations.Box]


def make_image(seed: int, number: int) -> SyntheticImage:
  """Draws image `number` of the set with this seed."""
  random = np.random.RandomState([seed, number])
  canvas = _background(random)
  boxes, visible = [], []
  num_objects = random.randint(1, _MAX_OBJECTS + 1)
  for _ in range(_MAX_TRIES):
    if len(boxes) == num_objects:
      break
    name = LABEL_MAP[random.randint(1, len(LABEL_MAP) + 1)]
    size = random.uniform(_SMALLEST, _LARGEST)
    # Shapes may reach beyond the border, but stay recognisable.
    margin = 0.35 * size
    mask = _shape_mask(
      name,
      size,
      angle=random.uniform(0, 2 * math.pi),
      centre=random.uniform(margin, IMAGE_SIZE - margin, size=2),
    )
    box = _box_of(name, mask)
    if all(_overlap(box, other) <= _MAX_OVERLAP for other in boxes):
      canvas = _paint(random, canvas, mask)
      boxes.append(box)
      is_covered = mask > 0.5
      visible = [other & ~is_covered for other in visible] + [is_covered]
  noise = random.normal(0, random.uniform(2, 10), size=canvas.shape)
  pixels = np.clip(canvas + noise, 0, 255).astype(np.uint8)
  return SyntheticImage(
    pixels,
    [
      box._replace(segmentation=mask_utils.encode_as_text(mask))
      for box, mask in zip(boxes, visible)
    ],
  )


def write_images(
  folder: str, seed: int, first: int, count: int
) -> annotations.AnnotatedSet:
  """Writes images first .. first + count - 1 as PNG files.

  Args:
    folder: for the files; made if needed.
    seed: of the whole set.
    first: number of the first image. Splits with disjoint numbers share none.
    count: number of images.

  Returns:
    The images with their boxes; the image id is the number.
  """
  os.makedirs(folder, exist_ok=True)
  images = []
  for number in tqdm.trange(
    first, first + count, desc='drawing', unit='image', disable=None
  ):
    image = make_image(seed, number)
    name = f'shapes_{number:05d}.png'
    path = os.path.join(folder, name)
    Image.fromarray(image.pixels).save(path)
    images.append(annotations.AnnotatedImage(number, name, path, image.boxes))
  return annotations.AnnotatedSet(images, dict(LABEL_MAP))


def _background(random) -> np.ndarray:
  """A gradient of two colours, bent by smooth noise, with stripes."""
  rows, columns = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE] / float(IMAGE_SIZE)
  angle = random.uniform(0, 2 * math.pi)
  position = rows * math.sin(angle) + columns * math.cos(angle)
  blend = 0.5 + 0.5 * position + 0.5 * _smooth_noise(random)
  stripes = np.sin(
    2 * math.pi * (random.uniform(2, 14) * position + _smooth_noise(random))
  )
  blend += random.uniform(0, 0.25) * stripes
  blend = np.clip(blend, 0, 1)[..., np.newaxis]
  first, second = random.uniform(30, 225, size=[2, 3])
  return blend * first + (1 - blend) * second


def _smooth_noise(random) -> np.ndarray:
  """Noise in about [-0.5, 0.5] of a random grain, [H, W] float."""
  cells = random.randint(3, 20)
  coarse = random.uniform(-0.5, 0.5, size=[cells, cells]).astype(np.float32)
  return np.asarray(
    Image.fromarray(coarse).resize((IMAGE_SIZE, IMAGE_SIZE), Image.BICUBIC)
  )


def _shape_mask(
  name: str, size: float, angle: float, centre: Tuple[float, float]
) -> np.ndarray:
  """Coverage of each pixel by the shape, [H, W] float in [0, 1]."""
  scale = _SUPERSAMPLING
  side = IMAGE_SIZE * scale
  image = Image.new('L', (side, side))
  draw = ImageDraw.Draw(image)
  x, y = (scale * value for value in centre)
  radius = scale * size / 2

  def polygon(radii):
    turns = angle + 2 * math.pi * np.arange(len(radii)) / len(radii)
    draw.polygon(
      [
        (x + r * math.cos(turn), y + r * math.sin(turn))
        for r, turn in zip(radii, turns)
      ],
      fill=255,
    )

  def disc(r, fill):
    draw.ellipse([x - r, y - r, x + r, y + r], fill=fill)

  if name == 'circle':
    disc(radius, 255)
  elif name == 'ring':
    disc(radius, 255)
    disc(0.55 * radius, 0)
  elif name == 'square':
    polygon([radius] * 4)
  elif name == 'triangle':
    polygon([radius] * 3)
  elif name == 'star':
    polygon([radius, 0.45 * radius] * 5)
  small = image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.BOX)
  return np.asarray(small, np.float32) / 255


def _box_of(name: str, mask: np.ndarray) -> annotations.Box:
  """The box of what is visible of a shape."""
  rows = np.flatnonzero(mask.max(axis=1) > 0.5)
  columns = np.flatnonzero(mask.max(axis=0) > 0.5)
  return annotations.Box(
    class_name=name,
    xmin=float(columns[0]),
    ymin=float(rows[0]),
    xmax=float(columns[-1] + 1),
    ymax=float(rows[-1] + 1),
    area=float(mask.sum()),
  )


def _overlap(a: annotations.Box, b: annotations.Box) -> float:
  """Intersection over the area of the smaller box."""
  width = min(a.xmax, b.xmax) - max(a.xmin, b.xmin)
  height = min(a.ymax, b.ymax) - max(a.ymin, b.ymin)
  areas = [(c.xmax - c.xmin) * (c.ymax - c.ymin) for c in (a, b)]
  return max(width, 0) * max(height, 0) / min(areas)


def _paint(random, canvas: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Fills the shape with a shaded colour that stands out from behind it."""
  opacity = mask[..., np.newaxis]
  behind = (opacity * canvas).sum(axis=(0, 1)) / opacity.sum()
  colour = behind
  while np.linalg.norm(colour - behind) < _MIN_CONTRAST:
    colour = random.uniform(0, 255, size=3)
  shade = 25 * _smooth_noise(random)[..., np.newaxis]
  return opacity * (colour + shade) + (1 - opacity) * canvas
