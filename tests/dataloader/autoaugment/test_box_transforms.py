"""Where boxes go: written-out values, a plain model, and what always holds."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader.autoaugment import box_transforms
from tests.dataloader.autoaugment import numpy_model

_AMOUNTS = {
  'translate_x': [0.0, 20.0, -13.9, 250.0, -250.0, 4.5],
  'translate_y': [0.0, 9.0, -17.9, 250.0, -250.0, 4.5],
  'shear_x': [0.0, 0.18, -0.3, 0.3],
  'shear_y': [0.0, 0.06, -0.2, 0.3],
  'rotate': [0.0, 30.0, -30.0, 3.0],
}


def _run(name, boxes, size, amount):
  with tf.Graph().as_default(), tf.Session() as session:
    result = getattr(box_transforms, name)(
      tf.constant(np.float32(boxes).reshape([-1, 4])),
      tf.constant(size + (3,)),
      amount,
    )
    assert result.shape.as_list()[1] == 4
    return session.run(result)


@pytest.mark.parametrize(
  'name, box, amount, expected',
  [
    # An image of 100 x 200.
    ('translate_x', [0.2, 0.3, 0.4, 0.5], 20, [0.2, 0.2, 0.4, 0.4]),
    ('translate_x', [0.2, 0.3, 0.4, 0.5], 80, [0.2, 0.0, 0.4, 0.1]),
    ('translate_x', [0.2, 0.3, 0.4, 0.5], 150, [0.2, 0.0, 0.4, 0.05]),
    ('translate_x', [0.2, 0.3, 0.4, 0.5], -180, [0.2, 0.95, 0.4, 1.0]),
    ('translate_y', [0.2, 0.3, 0.4, 0.5], 30, [0.0, 0.3, 0.1, 0.5]),
    ('translate_y', [0.2, 0.3, 0.4, 0.5], 99, [0.0, 0.3, 0.05, 0.5]),
    ('translate_y', [0.2, 0.3, 0.4, 0.5], -99, [0.95, 0.3, 1.0, 0.5]),
    # Half pixels are cut off, of box and amount.
    ('translate_x', [0.2, 0.3025, 0.4, 0.5], 0.9, [0.2, 0.3, 0.4, 0.5]),
    # Widened only where it lies on the border.
    ('translate_x', [0.5, 0.3, 0.5, 0.3], 0, [0.5, 0.3, 0.5, 0.3]),
    # Rows 20 to 40: 4 to 8 pixels to the left.
    ('shear_x', [0.2, 0.3, 0.4, 0.5], 0.2, [0.2, 0.26, 0.4, 0.48]),
    ('shear_x', [0.2, 0.3, 0.4, 0.5], -0.2, [0.2, 0.32, 0.4, 0.54]),
    # Columns 60 to 100: 12 to 20 pixels up.
    ('shear_y', [0.2, 0.3, 0.4, 0.5], 0.2, [0.0, 0.3, 0.28, 0.5]),
    # (-25, -50) to (0, 0) from the centre becomes (0, -25) to (50, 0).
    ('rotate', [0.25, 0.25, 0.5, 0.5], 90, [0.5, 0.375, 1.0, 0.5]),
    ('rotate', [0, 0, 1, 1], 30, [0, 0, 1, 1]),
  ],
)
def test_written_out_values(name, box, amount, expected):
  np.testing.assert_allclose(
    _run(name, [box], (100, 200), amount), [expected], atol=1e-6
  )


@pytest.mark.parametrize('name', sorted(_AMOUNTS))
def test_an_image_without_boxes(name):
  assert _run(name, [], (10, 20), 0.3).shape == (0, 4)


def _random_boxes(count, rng):
  corners = np.sort(rng.rand(count, 2, 2).astype(np.float32), axis=1)
  boxes = np.concatenate([corners[:, 0], corners[:, 1]], axis=1)
  boxes[0], boxes[1], boxes[2] = [0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]
  boxes[3], boxes[4] = [0.5, 0.2, 0.5, 0.8], [0.9999, 0, 1, 0.0001]
  return boxes


@pytest.mark.parametrize('name', sorted(_AMOUNTS))
@pytest.mark.parametrize('size', [(60, 84), (1, 1), (479, 641)])
def test_all_boxes_are_those_of_the_plain_model(name, size):
  boxes = _random_boxes(200, np.random.RandomState(1))
  kind, _, axis = name.partition('_')
  model = getattr(numpy_model, kind + '_box')
  arguments = () if kind == 'rotate' else (axis == 'x',)
  for amount in _AMOUNTS[name]:
    result = _run(name, boxes, size, amount)
    assert result.dtype == np.float32
    assert result.min() >= 0 and result.max() <= 1
    assert (result[:, 2:] >= result[:, :2]).all()
    wanted = [model(box, *size, amount, *arguments) for box in boxes]
    error = np.abs(result - np.float32(wanted)).max(axis=1)
    # A sine that differs in its last bit moves a corner on a whole number.
    assert (error > 1e-6).mean() <= (0.02 if name == 'rotate' else 0), amount
