"""Operations that move pixels; nearest neighbour.

Images are uint8 [height, width, 3]; pixels that come from outside of the image
take the colour `replace`. Output pixel (x, y) shows the input at (x', y'):

| operation | x' | y' |
|---|---|---|
| translate_x | x + pixels | y |
| translate_y | x | y + pixels |
| shear_x | x + level * y | y |
| shear_y | x | y + level * x |
| rotate | c x - s y, about the centre | s x + c y, about the centre |
"""

import math
from typing import Sequence, Union

import tensorflow.compat.v1 as tf

from dataloader.autoaugment import regions

_Number = Union[float, tf.Tensor]
_Color = Union[Sequence[int], tf.Tensor]

# The colour of pixels from outside.
FILL = (128, 128, 128)

# The largest float32 below 0.5: with 0.5 itself, what is just below would be
# rounded up.
_ALMOST_HALF = 0.49999997


def translate_x(
  image: tf.Tensor, pixels: _Number, replace: _Color = FILL
) -> tf.Tensor:
  """Moves the content left by `pixels`, right if negative."""
  height, width = regions.image_size(image)
  start, source, size = _translation(pixels, width)
  inside = tf.slice(image, [0, source, 0], [-1, size, -1])
  moved = tf.concat(
    [
      regions.solid(height, start, replace),
      inside,
      regions.solid(height, width - start - size, replace),
    ],
    axis=1,
  )
  moved.set_shape(image.shape)
  return moved


def translate_y(
  image: tf.Tensor, pixels: _Number, replace: _Color = FILL
) -> tf.Tensor:
  """Moves the content up by `pixels`, down if negative."""
  height, width = regions.image_size(image)
  start, source, size = _translation(pixels, height)
  inside = tf.slice(image, [source, 0, 0], [size, -1, -1])
  moved = tf.concat(
    [
      regions.solid(start, width, replace),
      inside,
      regions.solid(height - start - size, width, replace),
    ],
    axis=0,
  )
  moved.set_shape(image.shape)
  return moved


def shear_x(
  image: tf.Tensor, level: _Number, replace: _Color = FILL
) -> tf.Tensor:
  """Moves row y left by level * y."""
  x, y = _grid(image)
  source_x = x + tf.cast(level, tf.float32) * y
  source_x = _nearest(source_x, regions.image_size(image)[1])
  return _sample(image, source_x, tf.cast(y, tf.int32), replace)


def shear_y(
  image: tf.Tensor, level: _Number, replace: _Color = FILL
) -> tf.Tensor:
  """Moves column x up by level * x."""
  x, y = _grid(image)
  source_y = tf.cast(level, tf.float32) * x + y
  source_y = _nearest(source_y, regions.image_size(image)[0])
  return _sample(image, tf.cast(x, tf.int32), source_y, replace)


def rotate(
  image: tf.Tensor, degrees: _Number, replace: _Color = FILL
) -> tf.Tensor:
  """Rotates about the centre, counter-clockwise for positive `degrees`."""
  angle = tf.cast(degrees * (math.pi / 180.0), tf.float32)
  c, s = tf.cos(angle), tf.sin(angle)
  height, width = regions.image_size(image)
  h, w = tf.cast(height - 1, tf.float32), tf.cast(width - 1, tf.float32)
  x, y = _grid(image)
  source_x = c * x - s * y + (w - (c * w - s * h)) / 2.0
  source_y = s * x + c * y + (h - (s * w + c * h)) / 2.0
  return _sample(
    image, _nearest(source_x, width), _nearest(source_y, height), replace
  )


def flip(image: tf.Tensor) -> tf.Tensor:
  """Mirrors left and right."""
  return tf.reverse(image, [1])


def _translation(pixels: _Number, size: tf.Tensor):
  """Where a translated row shows which part of its source.

  Returns:
    int32 scalars: the first pixel that is inside, the pixel of the source that
    it shows, and the number of pixels.
  """
  pixels = tf.cast(pixels, tf.float32)
  # Halves round away from zero, so that -0.5 is outside; no overflow for
  # amounts that no image has.
  limit = tf.cast(size, tf.float32) + 1.0
  pixels = tf.clip_by_value(pixels, -limit, limit)
  shift = tf.cast(tf.floor(pixels + 0.5), tf.int32)
  first = tf.cast(tf.floor(-pixels - 0.5), tf.int32) + 1
  start = tf.clip_by_value(first, 0, size)
  num_inside = tf.maximum(tf.minimum(size, size - shift) - start, 0)
  source = tf.clip_by_value(start + shift, 0, size)
  return start, source, tf.minimum(num_inside, size - source)


def _grid(image: tf.Tensor):
  """x, float32 [1, width], and y, [height, 1]."""
  height, width = regions.image_size(image)
  x = tf.cast(tf.range(width), tf.float32)
  y = tf.cast(tf.range(height), tf.float32)
  return tf.expand_dims(x, 0), tf.expand_dims(y, 1)


def _nearest(position: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Rounds, halves away from zero; -1 and `size` are outside; int32."""
  # Clipped first, or else TensorFlow takes this for one of several summands and
  # adds them in another order, which rounds differently.
  position = tf.clip_by_value(position, -1.0, tf.cast(size, tf.float32))
  return tf.cast(tf.floor(position + _ALMOST_HALF), tf.int32)


def _sample(
  image: tf.Tensor,
  source_x: tf.Tensor,
  source_y: tf.Tensor,
  replace: _Color,
) -> tf.Tensor:
  """Returns image[source_y, source_x], `replace` where that is outside.

  Args:
    image: uint8 [height, width, 3].
    source_x: int32 [1 or height, width], from -1 to width.
    source_y: int32 [height, 1 or width], from -1 to height.
    replace: colour of what is outside.
  """
  height, width = regions.image_size(image)
  # A column behind each row, which is also the one before the next row, and a
  # row before and behind all: no index needs a check.
  bordered = tf.concat([image, regions.solid(height, 1, replace)], axis=1)
  stride = width + 1
  border = tf.squeeze(regions.solid(1, stride + 1, replace), [0])
  bordered = tf.concat([border, tf.reshape(bordered, [-1, 3]), border], axis=0)
  sampled = tf.gather(bordered, (source_y + 1) * stride + 1 + source_x)
  sampled = tf.reshape(sampled, tf.shape(image))
  sampled.set_shape(image.shape)
  return sampled
