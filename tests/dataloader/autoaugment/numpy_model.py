"""The operations of AutoAugment, pixel by pixel in numpy.

Written from the description of the operations, without their tricks.
"""

import math

import numpy as np

f32 = np.float32


def image(height, width, seed=0):
  """uint8 of waves and noise, with a flat patch and both extremes."""
  rng = np.random.RandomState(seed)
  y, x = np.mgrid[:height, :width]
  waves = np.stack(
    [127 + 120 * np.sin(x / (5.0 + 3 * c)) * np.cos(y / 7.0) for c in range(3)],
    -1,
  )
  noise = rng.randint(-30, 30, waves.shape)
  pixels = np.clip(waves + noise, 0, 255).astype(np.uint8)
  pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 128)
  pixels[0, 0], pixels[-1, -1] = 0, 255
  return pixels


def to_uint8(values):
  return np.clip(values, 0, 255).astype(np.uint8)


def blend(low, high, factor):
  low, high = f32(low), f32(high)
  return to_uint8(low + f32(factor) * (high - low))


def auto_contrast(pixels):
  result = pixels.copy()
  for c in range(3):
    low, high = f32(pixels[..., c].min()), f32(pixels[..., c].max())
    if high > low:
      scale = f32(255) / (high - low)
      result[..., c] = to_uint8(f32(pixels[..., c]) * scale + -low * scale)
  return result


def equalize(pixels):
  result = pixels.copy()
  for c in range(3):
    counts = np.bincount(pixels[..., c].ravel(), minlength=256)
    last = counts[np.flatnonzero(counts)[-1]]
    step = (counts.sum() - last) // 255
    if step:
      table = (np.cumsum(counts) + step // 2) // step
      table = np.clip(np.concatenate([[0], table[:-1]]), 0, 255)
      result[..., c] = table[pixels[..., c]]
  return result


def posterize(pixels, bits):
  shift = min(8 - bits, 7)
  return (pixels >> shift) << shift


def solarize(pixels, threshold):
  return np.where(pixels < np.uint8(threshold % 256), pixels, 255 - pixels)


def solarize_add(pixels, addition):
  added = np.clip(pixels.astype(int) + addition, 0, 255).astype(np.uint8)
  return np.where(pixels < 128, added, pixels)


def color(pixels, factor):
  unit = f32(pixels) * f32(1 / 255.0)
  grey = unit[..., 0] * f32(0.2989) + unit[..., 1] * f32(0.587)
  grey = grey + unit[..., 2] * f32(0.114)
  grey = (grey * f32(255.5)).astype(np.uint8)
  return blend(grey[..., np.newaxis], pixels, factor)


def contrast(pixels, factor):
  grey = int(min(pixels.shape[0] * pixels.shape[1] / 256, 255))
  return blend(grey, pixels, factor)


def brightness(pixels, factor):
  return blend(0, pixels, factor)


def sharpness(pixels, factor):
  smooth = pixels.copy()
  for y in range(1, pixels.shape[0] - 1):
    for x in range(1, pixels.shape[1] - 1):
      window = pixels[y - 1 : y + 2, x - 1 : x + 2].astype(int)
      total = window.sum(axis=(0, 1)) + 4 * window[1, 1]
      smooth[y, x] = total // 13
  blended = blend(smooth, pixels, factor)
  # The border shows the original.
  blended[[0, -1]] = pixels[[0, -1]]
  blended[:, [0, -1]] = pixels[:, [0, -1]]
  return blended


def _round(value):
  """Halves away from zero."""
  return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _warp(pixels, source):
  """`source(x, y)` gives (x', y') as float32."""
  height, width = pixels.shape[:2]
  result = np.full_like(pixels, 128)
  for y in range(height):
    for x in range(width):
      source_x, source_y = source(f32(x), f32(y))
      source_x, source_y = _round(source_x), _round(source_y)
      if 0 <= source_x < width and 0 <= source_y < height:
        result[y, x] = pixels[source_y, source_x]
  return result


def translate_x(pixels, amount):
  return _warp(pixels, lambda x, y: (x + f32(amount), y))


def translate_y(pixels, amount):
  return _warp(pixels, lambda x, y: (x, y + f32(amount)))


def shear_x(pixels, level):
  return _warp(pixels, lambda x, y: (x + f32(level) * y, y))


def shear_y(pixels, level):
  return _warp(pixels, lambda x, y: (x, f32(level) * x + y))


def rotate(pixels, degrees):
  angle = f32(degrees * math.pi / 180)
  c, s = np.cos(angle), np.sin(angle)
  h, w = f32(pixels.shape[0] - 1), f32(pixels.shape[1] - 1)
  offset_x = (w - (c * w - s * h)) / f32(2)
  offset_y = (h - (s * w + c * h)) / f32(2)
  return _warp(
    pixels,
    lambda x, y: (c * x - s * y + offset_x, s * x + c * y + offset_y),
  )


def _finish_box(ymin, xmin, ymax, xmax):
  ymin, xmin, ymax, xmax = np.clip(f32([ymin, xmin, ymax, xmax]), 0, 1)
  if ymax == ymin:
    ymin, ymax = min(ymin, f32(0.95)), max(ymax, f32(0.05))
  if xmax == xmin:
    xmin, xmax = min(xmin, f32(0.95)), max(xmax, f32(0.05))
  return [ymin, xmin, ymax, xmax]


def _pixel_box(box, height, width):
  return [int(f32(side) * v) for side, v in zip([height, width] * 2, box)]


def translate_box(box, height, width, amount, horizontal):
  ymin, xmin, ymax, xmax = _pixel_box(box, height, width)
  amount = int(amount)
  if horizontal:
    xmin, xmax = max(0, xmin - amount), min(width, xmax - amount)
  else:
    ymin, ymax = max(0, ymin - amount), min(height, ymax - amount)
  return _finish_box(ymin / height, xmin / width, ymax / height, xmax / width)


def shear_box(box, height, width, level, horizontal):
  ymin, xmin, ymax, xmax = _pixel_box(box, height, width)
  ys, xs = [], []
  for y in (ymin, ymax):
    for x in (xmin, xmax):
      ys.append(int(y if horizontal else f32(y) - f32(level) * f32(x)))
      xs.append(int(f32(x) - f32(level) * f32(y) if horizontal else x))
  return _finish_box(
    min(ys) / height, min(xs) / width, max(ys) / height, max(xs) / width
  )


def rotate_box(box, height, width, degrees):
  angle = f32(degrees * math.pi / 180)
  c, s = np.cos(angle), np.sin(angle)
  edges = _pixel_box(f32(box) - f32(0.5), height, width)
  ys, xs = [], []
  for y in (-edges[0], -edges[2]):
    for x in (edges[1], edges[3]):
      ys.append(int(c * f32(y) + s * f32(x)))
      xs.append(int(-s * f32(y) + c * f32(x)))
  return _finish_box(
    -(max(ys) / height - 0.5),
    min(xs) / width + 0.5,
    -(min(ys) / height - 0.5),
    max(xs) / width + 0.5,
  )
