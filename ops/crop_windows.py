"""Windows that images are cropped to: of random size and place, or central."""

import tensorflow.compat.v1 as tf

# Szegedy et al., arXiv:1409.4842.
_AREA = (0.08, 1.0)
_ASPECT = (3.0 / 4.0, 4.0 / 3.0)  # width / height
_NUM_ATTEMPTS = 10
# Random numbers of an image: aspect, height, y and x of each attempt.
NUM_DRAWS = 4 * _NUM_ATTEMPTS

_CENTRAL_SHARE = 0.875

# int32 [4]: y, x, height, width, as `tf.image.decode_and_crop_jpeg` takes them.
Window = tf.Tensor


def random_window(image_size: tf.Tensor, draws: tf.Tensor) -> Window:
  """A window of 8 to 100 % of the area with an aspect of 3/4 to 4/3.

  The distribution is that of `tf.image.sample_distorted_bounding_box` with ten
  attempts, whose numbers cannot come from a seed of the image. If all of them
  fail, or if the window is the whole image, it is the central one.

  Args:
    image_size: int32 [2], height and width.
    draws: float32 [NUM_DRAWS], uniform in [0, 1), independent.
  """
  aspects, of_height, of_y, of_x = tf.unstack(
    tf.reshape(draws, [4, _NUM_ATTEMPTS])
  )
  aspects = _ASPECT[0] + aspects * (_ASPECT[1] - _ASPECT[0])
  sides = tf.cast(image_size, tf.float32)
  least, most = (share * sides[0] * sides[1] for share in _AREA)
  highest = tf.minimum(tf.round(tf.sqrt(most / aspects)), sides[0])
  highest = tf.minimum(highest, tf.floor((sides[1] + 0.5) / aspects))
  lowest = tf.minimum(tf.round(tf.sqrt(least / aspects)), highest)
  heights = lowest + tf.floor(of_height * (highest - lowest + 1))
  widths = tf.round(heights * aspects)
  areas = heights * widths
  is_good = (areas >= tf.maximum(least, 1.0)) & (areas <= most)
  is_good &= widths <= sides[1]
  # The last place that fits is never drawn, as the library has it.
  ys = tf.floor(of_y * (sides[0] - heights))
  xs = tf.floor(of_x * (sides[1] - widths))
  first = tf.argmax(tf.cast(is_good, tf.int32))
  window = tf.cast(tf.stack([ys, xs, heights, widths], axis=1)[first], tf.int32)
  is_part = is_good[first] & tf.reduce_any(window[2:] < image_size)
  return tf.where(is_part, window, central_window(image_size))


def central_window(image_size: tf.Tensor) -> Window:
  """A square in the middle, 7/8 of the shorter side; of int32 [2]."""
  sides = tf.cast(image_size, tf.float32)
  side = _CENTRAL_SHARE * tf.reduce_min(sides)
  start = tf.cast((sides - side) / 2, tf.int32)
  # Of a picture that is one pixel high, nothing would be left.
  side = tf.maximum(tf.cast(side, tf.int32), 1)
  return tf.concat([start, [side, side]], axis=0)


def crop(image: tf.Tensor, window: Window) -> tf.Tensor:
  """Returns the pixels of a window, [height, width, channels]."""
  y, x, height, width = tf.unstack(window, num=4)
  return image[y : y + height, x : x + width]
