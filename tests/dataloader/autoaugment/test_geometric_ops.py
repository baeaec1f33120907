"""Operations that move pixels: written-out values, and a plain model."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader.autoaugment import geometric_ops
from tests.dataloader.autoaugment import numpy_model


def _run(function, pixels, *arguments):
  with tf.Graph().as_default(), tf.Session() as session:
    image = tf.placeholder(tf.uint8, [None, None, 3])
    result = function(image, *arguments)
    assert result.dtype == tf.uint8
    assert result.shape.as_list() == [None, None, 3]
    return session.run(result, {image: pixels})


def _rows(rows):
  return np.repeat(np.uint8(rows)[..., np.newaxis], 3, axis=-1)


_IMAGE = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
_ = 128


@pytest.mark.parametrize(
  'name, amount, expected',
  [
    ('translate_x', 1.0, [[2, 3, _], [5, 6, _], [8, 9, _]]),
    ('translate_x', -2.0, [[_, _, 1], [_, _, 4], [_, _, 7]]),
    ('translate_x', -0.5, [[_, 2, 3], [_, 5, 6], [_, 8, 9]]),
    ('translate_x', 9.0, [[_] * 3] * 3),
    ('translate_y', 1.0, [[4, 5, 6], [7, 8, 9], [_] * 3]),
    ('translate_y', -1.0, [[_] * 3, [1, 2, 3], [4, 5, 6]]),
    ('translate_y', -9.0, [[_] * 3] * 3),
    ('shear_x', 1.0, [[1, 2, 3], [5, 6, _], [9, _, _]]),
    ('shear_x', -0.25, [[1, 2, 3], [4, 5, 6], [_, 8, 9]]),
    ('shear_x', 0.0, _IMAGE),
    ('shear_y', 1.0, [[1, 5, 9], [4, 8, _], [7, _, _]]),
    ('shear_y', -1.0, [[1, _, _], [4, 2, _], [7, 5, 3]]),
    ('rotate', 0.0, _IMAGE),
    ('rotate', 90.0, [[3, 6, 9], [2, 5, 8], [1, 4, 7]]),
    ('rotate', -90.0, [[7, 4, 1], [8, 5, 2], [9, 6, 3]]),
    ('rotate', 45.0, [[2, 3, 6], [1, 5, 9], [4, 7, 8]]),
  ],
)
def test_written_out_values(name, amount, expected):
  result = _run(getattr(geometric_ops, name), _rows(_IMAGE), amount)
  np.testing.assert_array_equal(result, _rows(expected))


def test_flip():
  np.testing.assert_array_equal(
    _run(geometric_ops.flip, _rows(_IMAGE)), _rows(_IMAGE)[:, ::-1]
  )


@pytest.mark.parametrize('replace', [[1, 2, 3], np.uint8([1, 2, 3])])
def test_emptied_pixels_take_the_given_colour(replace):
  for name in ('translate_x', 'translate_y'):
    result = _run(getattr(geometric_ops, name), _rows(_IMAGE), 2.0, replace)
    np.testing.assert_array_equal(result[-1, -1], [1, 2, 3])
  result = _run(geometric_ops.shear_x, _rows(_IMAGE), 1.0, replace)
  np.testing.assert_array_equal(result[2, 1:], [[1, 2, 3]] * 2)


_AMOUNTS = {
  'translate_x': [0.0, 20.0, -13.0, 4.5, -4.5, 0.49, -0.51, 250.0, -1e9],
  'translate_y': [0.0, 9.0, -17.0, 2.5, -2.5, 0.49, -0.51, -250.0, 1e9],
  'shear_x': [0.0, 0.18, -0.3, 0.3, 0.5, -0.5, 2.0, -40.0],
  'shear_y': [0.0, 0.06, -0.2, 0.3, 0.5, -0.5, 2.0, -40.0],
  'rotate': [0.0, 30.0, -12.0, 3.0, 90.0, 180.0, -135.0],
}
_SIZES = [(1, 1), (1, 9), (8, 1), (33, 47), (40, 30)]


@pytest.mark.parametrize('name', sorted(_AMOUNTS))
def test_all_sizes_and_amounts_are_those_of_the_plain_model(name):
  function, model = getattr(geometric_ops, name), getattr(numpy_model, name)
  num_different, num_pixels = 0, 0
  with tf.Graph().as_default(), tf.Session() as session:
    image = tf.placeholder(tf.uint8, [None, None, 3])
    results = [function(image, amount) for amount in _AMOUNTS[name]]
    for size in _SIZES:
      pixels = numpy_model.image(*size)
      for amount, result in zip(
        _AMOUNTS[name], session.run(results, {image: pixels})
      ):
        is_different = (result != model(pixels, amount)).any(axis=-1)
        # A sine that differs in its last bit moves pixels that lie on a half.
        if name != 'rotate':
          assert not is_different.any(), (size, amount)
        num_different += is_different.sum()
        num_pixels += is_different.size
  assert num_different <= 0.002 * num_pixels
