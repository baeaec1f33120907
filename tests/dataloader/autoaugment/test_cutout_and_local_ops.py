"""Operations at random places: where they fall, and what they leave alone."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import autoaugment
from dataloader.autoaugment import (
  cutout_ops,
  geometric_ops,
  local_ops,
  randomness,
)
from tests.dataloader.autoaugment import numpy_model

_FUNCTIONS = autoaugment.NAME_TO_FUNC


def _draw(count, function, *arrays, seed=0):
  """Results of `function` for images with the seeds (seed, 0), (seed, 1) ..."""
  with tf.Graph().as_default(), tf.Session() as session:
    placeholders = [tf.placeholder(array.dtype) for array in arrays]
    for placeholder, array in zip(placeholders, arrays):
      placeholder.set_shape([None] * (array.ndim - 1) + [array.shape[-1]])
    word = tf.placeholder(tf.int32, [])
    with randomness.seeded(tf.stack([seed, word])):
      result = function(*placeholders)
    call = session.make_callable(result, placeholders + [word])
    return [call(*arrays, 7919 * i) for i in range(count)]


def _close_to(count, expected, num_draws):
  """Within 4.5 standard deviations of a binomial count."""
  share = expected / num_draws
  return abs(count - expected) <= 4.5 * (num_draws * share * (1 - share)) ** 0.5


def _filled(image, value=128):
  """Rows and columns of the rectangle of `value`, exclusive; None if none."""
  rows = np.flatnonzero((image == value).any(axis=(1, 2)))
  columns = np.flatnonzero((image == value).any(axis=(0, 2)))
  if not rows.size:
    return None
  box = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
  np.testing.assert_array_equal(image[box[0] : box[2], box[1] : box[3]], value)
  return box


def test_cutout_falls_on_every_pixel_alike():
  image = np.zeros([5, 8, 3], np.uint8)
  # Half a side of 1: rows center - 1 and center.
  draws = _draw(4000, lambda i: cutout_ops.cutout(i, 1), image)
  counts = np.zeros([5, 8], int)
  for result in draws:
    top, left, bottom, right = _filled(result)
    assert bottom - top == (1 if bottom == 1 else 2)
    assert right - left == (1 if right == 1 else 2)
    counts[bottom - 1, right - 1] += 1
  for count in counts.ravel():
    assert _close_to(count, 100, 4000), counts


def test_cutout_is_cut_at_the_border_and_of_the_given_colour():
  image = np.zeros([4, 6, 3], np.uint8)
  assert (_draw(1, lambda i: cutout_ops.cutout(i, 100), image)[0] == 128).all()
  assert (_draw(1, lambda i: cutout_ops.cutout(i, 0), image)[0] == 0).all()
  result = _draw(1, lambda i: cutout_ops.cutout(i, 100, [1, 2, 3]), image)[0]
  np.testing.assert_array_equal(result, np.zeros_like(image) + [1, 2, 3])
  # The alias of the table.
  result = _draw(1, lambda i: _FUNCTIONS['Cutout'](i, 100, 9), image)[0]
  assert (result == 9).all()


def test_box_cutout_takes_every_box_and_every_place_in_it():
  image = np.zeros([40, 60, 3], np.uint8)
  # Pixels 8 ... 16 x 6 ... 12, and 20 ... 24 x 30 ... 42: 9x7 and 5x13.
  boxes = np.float32([[0.2, 0.1, 0.4, 0.2], [0.5, 0.5, 0.6, 0.7]])
  draws = _draw(
    3000,
    lambda i, b: _FUNCTIONS['BBox_Cutout'](i, b, 0.75, False),
    image,
    boxes,
  )
  places = [set(), set()]
  in_first = 0
  for result, result_boxes in draws:
    np.testing.assert_array_equal(result_boxes, boxes)
    top, left, bottom, right = _filled(result)
    # 0.75 * 9 / 2 = 3.375, 0.75 * 7 / 2 = 2.625; 1.875 and 4.875.
    is_first = bottom - top == 6
    assert (bottom - top, right - left) == ((6, 4) if is_first else (2, 8))
    in_first += is_first
    half = (3, 2) if is_first else (1, 4)
    places[not is_first].add((top + half[0], left + half[1]))
  assert _close_to(in_first, 1500, 3000)
  assert places[0] == {(y, x) for y in range(8, 17) for x in range(6, 13)}
  assert places[1] == {(y, x) for y in range(20, 25) for x in range(30, 43)}


def test_box_cutout_computes_sizes_in_double_precision():
  image = np.zeros([100, 100, 3], np.uint8)
  # 20 rows: 0.9 * 20 / 2 is 9, of which float32 makes 8.9999998.
  boxes = np.float32([[0.4, 0.4, 0.595, 0.595]])
  ((result, _),) = _draw(
    1, lambda i, b: _FUNCTIONS['BBox_Cutout'](i, b, 0.9), image, boxes
  )
  top, left, bottom, right = _filled(result)
  assert (bottom - top, right - left) == (18, 18)


def test_box_cutout_with_the_mean_of_the_box():
  image = np.zeros([10, 10, 3], np.uint8)
  image[2:5, 2:5] = [90, 180, 19]
  image[2, 2] = 0
  boxes = np.float32([[0.2, 0.2, 0.4, 0.4]])
  ((result, _),) = _draw(
    1, lambda i, b: _FUNCTIONS['BBox_Cutout'](i, b, 1.0, True), image, boxes
  )
  changed = (result != image).any(axis=-1)
  assert changed.any()
  np.testing.assert_array_equal(
    result[changed], [[80, 160, 16]] * changed.sum()
  )


@pytest.mark.parametrize(
  'name',
  [name for name in _FUNCTIONS if 'Only' in name or name == 'BBox_Cutout'],
)
def test_nothing_happens_without_boxes(name):
  image = numpy_model.image(9, 11)
  arguments = [] if name == 'BBox_Cutout' else [3.0]
  if not name.startswith(('Flip', 'Equalize')):
    arguments.append(0.5)
  ((result, boxes),) = _draw(
    1,
    lambda i, b: _FUNCTIONS[name](i, b, *arguments),
    image,
    np.zeros([0, 4], np.float32),
  )
  np.testing.assert_array_equal(result, image)
  assert boxes.shape == (0, 4)


# Apart from each other; the second reaches the lower right corner.
_BOXES = np.float32([[0.1, 0.1, 0.4, 0.5], [0.5, 0.6, 1.0, 1.0]])
_REGIONS = [(slice(3, 13), slice(4, 21)), (slice(15, 30), slice(24, 40))]


@pytest.mark.parametrize(
  'name, arguments, model',
  [
    ('Flip_Only_BBoxes', (), lambda region: region[:, ::-1]),
    ('Equalize_Only_BBoxes', (), numpy_model.equalize),
    ('Solarize_Only_BBoxes', (100,), lambda r: numpy_model.solarize(r, 100)),
    (
      'TranslateX_Only_BBoxes',
      (4.0,),
      lambda region: numpy_model.translate_x(region, 4.0),
    ),
    (
      'TranslateY_Only_BBoxes',
      (-3.0,),
      lambda region: numpy_model.translate_y(region, -3.0),
    ),
    (
      'ShearX_Only_BBoxes',
      (0.2,),
      lambda region: numpy_model.shear_x(region, 0.2),
    ),
    (
      'ShearY_Only_BBoxes',
      (-0.2,),
      lambda region: numpy_model.shear_y(region, -0.2),
    ),
    (
      'Rotate_Only_BBoxes',
      (30.0,),
      lambda region: numpy_model.rotate(region, 30.0),
    ),
    ('Cutout_Only_BBoxes', (50,), lambda region: np.full_like(region, 128)),
  ],
)
def test_local_operations_change_the_content_of_boxes(name, arguments, model):
  image = numpy_model.image(30, 40)
  expected = image.copy()
  for region in _REGIONS:
    expected[region] = model(image[region])
  # A third of the probability 3.
  ((result, boxes),) = _draw(
    1, lambda i, b: _FUNCTIONS[name](i, b, 3.0, *arguments), image, _BOXES
  )
  np.testing.assert_array_equal(boxes, _BOXES)
  is_different = (result != expected).any(axis=-1)
  # A sine that differs in its last bit moves pixels that lie on a half.
  assert is_different.sum() <= (2 if name.startswith('Rotate') else 0)


def test_each_box_is_chosen_with_a_third_of_the_probability():
  image = np.zeros([1, 40, 3], np.uint8)
  edges = np.arange(40) / np.float32(40)
  boxes = np.stack(
    [np.zeros(40), edges + 0.001, np.ones(40), edges + 0.002], 1
  ).astype(np.float32)
  for probability, share in ((0.6, 0.2), (1.0, 1 / 3), (0.0, 0.0)):
    draws = _draw(
      300,
      lambda i, b, p=probability: _FUNCTIONS['Solarize_Only_BBoxes'](
        i, b, p, 0
      )[0],
      image,
      boxes,
    )
    chosen = np.array(draws)[:, 0, :, 0] == 255
    assert _close_to(chosen.sum(), 12000 * share, 12000)
    if share:
      for count in chosen.sum(axis=0):
        assert _close_to(count, 300 * share, 300)
      # Boxes are chosen independently of their neighbours.
      both = (chosen[:, 1:] & chosen[:, :-1]).sum()
      assert _close_to(both, 11700 * share**2, 11700)


def test_boxes_come_in_random_order_and_see_earlier_changes():
  image = np.zeros([1, 3, 3], np.uint8)
  boxes = np.float32([[0, 0.0, 1, 0.4], [0, 0.4, 1, 0.9]])  # Share column 1.
  image[0, :, :] = [[1], [2], [3]]
  draws = _draw(
    1000,
    lambda i, b: local_ops.apply_in_boxes(
      i, b, 3.0, lambda region: geometric_ops.translate_x(region, -1.0)
    ),
    image,
    boxes,
  )
  found = [tuple(result[0, :, 0]) for result in draws]
  # First box first: 128, 1, 3, then 128, 128, 1. Or 1, 128, 2, then 128, 1, 2.
  orders = {(128, 128, 1), (128, 1, 2)}
  assert set(found) == orders
  assert _close_to(found.count((128, 128, 1)), 500, 1000)


def test_cutouts_in_boxes_fall_in_different_places():
  image = np.zeros([10, 40, 3], np.uint8)
  boxes = np.float32([[0, 0, 0.9, 0.2], [0, 0.5, 0.9, 0.7]])
  draws = _draw(
    50,
    lambda i, b: _FUNCTIONS['Cutout_Only_BBoxes'](i, b, 3.0, 1)[0],
    image,
    boxes,
  )
  same = sum(
    np.array_equal(result[:, :9], result[:, 20:29]) for result in draws
  )
  assert same < 10


@pytest.mark.parametrize(
  'box',
  [
    [1.0, 1.0, 1.0, 1.0],
    [0.0, 1.0, 1.0, 1.0],
    [0.5, 0.5, 0.5, 0.5],
    [0.999, 0.0, 1.0, 1.0],
  ],
)
def test_boxes_of_a_pixel_or_none(box):
  image = numpy_model.image(7, 9)
  for name, arguments in (
    ('Rotate_Only_BBoxes', (3.0, 20.0)),
    ('Equalize_Only_BBoxes', (3.0,)),
    ('Cutout_Only_BBoxes', (3.0, 2)),
    ('BBox_Cutout', (0.75, True)),
  ):
    ((result, _),) = _draw(
      1,
      lambda i, b, n=name, a=arguments: _FUNCTIONS[n](i, b, *a),
      image,
      np.float32([box]),
    )
    assert result.shape == image.shape
