"""Operations on colours: written-out values, and a plain model."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader.autoaugment import color_ops
from tests.dataloader.autoaugment import numpy_model


def _run(function, pixels, *arguments):
  with tf.Graph().as_default(), tf.Session() as session:
    image = tf.placeholder(tf.uint8, [None, None, 3])
    result = function(image, *arguments)
    assert result.dtype == tf.uint8
    assert result.shape.as_list() == [None, None, 3]
    return session.run(result, {image: pixels})


def _one_channel(values):
  """[1, n, 3] with the values in green, nothing in red, 255 in blue."""
  values = np.uint8(values)
  return np.stack(
    [np.zeros_like(values), values, np.full_like(values, 255)], -1
  )[np.newaxis]


@pytest.mark.parametrize(
  'function, arguments, values, expected',
  [
    # 255 / 150 * (v - 50).
    (color_ops.auto_contrast, (), [50, 100, 200], [0, 85, 255]),
    (color_ops.auto_contrast, (), [7, 7], [7, 7]),
    # 300 pixels, 150 of the highest: a step is 150 // 255 = 0.
    (color_ops.equalize, (), [3] * 150 + [9] * 150, [3] * 150 + [9] * 150),
    # Steps of (600 - 90) // 255 = 2; (counts below + 1) // 2.
    (
      color_ops.equalize,
      (),
      [10] * 201 + [20] * 309 + [30] * 90,
      [0] * 201 + [101] * 309 + [255] * 90,
    ),
    (color_ops.posterize, (4,), [0, 15, 16, 255], [0, 0, 16, 240]),
    (color_ops.posterize, (1,), [127, 128], [0, 128]),
    (color_ops.posterize, (0,), [127, 128], [0, 128]),
    (color_ops.posterize, (8,), [127, 128], [127, 128]),
    (color_ops.solarize, (128,), [0, 127, 128, 255], [0, 127, 127, 0]),
    (color_ops.solarize, (0,), [0, 255], [255, 0]),
    (color_ops.solarize, (256,), [0, 255], [255, 0]),
    (color_ops.solarize, (255,), [254, 255], [254, 0]),
    (color_ops.solarize_add, (110,), [0, 127, 128], [110, 237, 128]),
    (color_ops.solarize_add, (200,), [0, 127, 128], [200, 255, 128]),
    (color_ops.brightness, (0.5,), [0, 3, 255], [0, 1, 127]),
    (color_ops.brightness, (1.9,), [10, 200], [19, 255]),
    (color_ops.brightness, (0,), [10, 200], [0, 0]),
    (color_ops.brightness, (1,), [10, 200], [10, 200]),
  ],
)
def test_written_out_values(function, arguments, values, expected):
  result = _run(function, _one_channel(values), *arguments)
  np.testing.assert_array_equal(result[0, :, 1], expected)


def test_contrast_is_against_the_number_of_pixels():
  # 16 * 48 / 256 = 3, whatever the image shows.
  pixels = np.full([16, 48, 3], 103, np.uint8)
  np.testing.assert_array_equal(_run(color_ops.contrast, pixels, 0), 3)
  np.testing.assert_array_equal(_run(color_ops.contrast, pixels, 0.5), 53)
  np.testing.assert_array_equal(_run(color_ops.contrast, pixels, 1.5), 153)
  pixels = np.full([512, 512, 3], 200, np.uint8)
  np.testing.assert_array_equal(_run(color_ops.contrast, pixels, 0), 255)


def test_color_from_grey_to_more_than_the_image():
  pixels = np.uint8([[[200, 100, 50], [255, 0, 0]]])
  # 0.2989 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2; 0.2989 * 255 = 76.2.
  np.testing.assert_array_equal(
    _run(color_ops.color, pixels, 0), [[[124] * 3, [76] * 3]]
  )
  np.testing.assert_array_equal(_run(color_ops.color, pixels, 1), pixels)
  np.testing.assert_array_equal(
    _run(color_ops.color, pixels, 1.5), [[[238, 88, 13], [255, 0, 0]]]
  )


def test_sharpness_smooths_inside_of_the_border():
  pixels = np.zeros([3, 4, 3], np.uint8)
  pixels[1, 1] = 130
  smooth = np.zeros([3, 4], np.uint8)
  smooth[1, 1:3] = 50, 10
  np.testing.assert_array_equal(
    _run(color_ops.sharpness, pixels, 0)[..., 2], smooth
  )
  np.testing.assert_array_equal(_run(color_ops.sharpness, pixels, 1), pixels)
  sharp = np.zeros([3, 4], np.uint8)
  # 50 + 1.5 * 80; 10 - 1.5 * 10 is below 0.
  sharp[1, 1] = 170
  np.testing.assert_array_equal(
    _run(color_ops.sharpness, pixels, 1.5)[..., 0], sharp
  )


_EXTREMES = {
  'auto_contrast': [()],
  'equalize': [()],
  'posterize': [(bits,) for bits in range(9)],
  'solarize': [(0,), (1,), (77,), (255,), (256,)],
  'solarize_add': [(0,), (1,), (66,), (110,), (255,)],
  'color': [(0.0,), (0.1,), (0.46,), (1.0,), (1.18,), (1.9,)],
  'contrast': [(0.0,), (0.1,), (0.64,), (1.0,), (1.9,)],
  'brightness': [(0.0,), (0.1,), (0.64,), (1.0,), (1.9,)],
  'sharpness': [(0.0,), (0.1,), (0.82,), (1.0,), (1.9,)],
}
_SIZES = [(1, 1), (1, 7), (5, 1), (2, 2), (2, 5), (31, 43), (64, 96), (37, 129)]


@pytest.mark.parametrize('name', sorted(_EXTREMES))
def test_all_sizes_and_arguments_are_those_of_the_plain_model(name):
  function, model = getattr(color_ops, name), getattr(numpy_model, name)
  with tf.Graph().as_default(), tf.Session() as session:
    image = tf.placeholder(tf.uint8, [None, None, 3])
    results = [function(image, *arguments) for arguments in _EXTREMES[name]]
    for size in _SIZES:
      for pixels in (
        numpy_model.image(*size),
        np.full(size + (3,), 9, np.uint8),
      ):
        for arguments, result in zip(
          _EXTREMES[name], session.run(results, {image: pixels})
        ):
          np.testing.assert_array_equal(
            result,
            model(pixels, *arguments),
            err_msg=f'{size} {arguments}',
          )
