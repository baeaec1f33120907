"""Published policies as written, what they draw, and what they keep."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import autoaugment
from dataloader.autoaugment import (
  operations,
  policy_registry,
  randomness,
  sub_policies,
)
from tests.dataloader.autoaugment import numpy_model


def _runner(policy, image, boxes, session):
  """A function of the second word of the seed."""
  word = tf.placeholder(tf.int32, [])
  with randomness.seeded(tf.stack([3, word])):
    result = policy(tf.constant(image), tf.constant(boxes))
  assert result[0].shape.as_list() == list(image.shape)
  assert result[1].shape.as_list() == list(boxes.shape)
  return session.make_callable(list(result), [word])


def _close_to(count, share, num_draws):
  deviation = (num_draws * share * (1 - share)) ** 0.5
  return abs(count - num_draws * share) <= 4.5 * deviation


_BOXES = np.float32([[0.1, 0.1, 0.5, 0.4], [0.3, 0.5, 0.9, 0.95], [0, 0, 1, 1]])


def test_the_operations_are_25():
  assert set(autoaugment.NAME_TO_FUNC) == {
    *('AutoContrast', 'Equalize', 'Posterize', 'Solarize', 'SolarizeAdd'),
    *('Color', 'Contrast', 'Brightness', 'Sharpness', 'Cutout', 'BBox_Cutout'),
    *('Rotate_BBox', 'TranslateX_BBox', 'TranslateY_BBox'),
    *('ShearX_BBox', 'ShearY_BBox', 'Rotate_Only_BBoxes'),
    *('ShearX_Only_BBoxes', 'ShearY_Only_BBoxes', 'Flip_Only_BBoxes'),
    *('TranslateX_Only_BBoxes', 'TranslateY_Only_BBoxes'),
    *('Solarize_Only_BBoxes', 'Equalize_Only_BBoxes', 'Cutout_Only_BBoxes'),
  }
  assert len(autoaugment.NAME_TO_FUNC) == 25


@pytest.mark.parametrize(
  'name, level, argument, is_signed',
  [
    ('Posterize', 10, 4, False),
    ('Posterize', 2, 0, False),
    ('Posterize', 9.9, 3, False),
    ('Solarize', 8, 204, False),
    ('Solarize_Only_BBoxes', 10, 256, False),
    ('SolarizeAdd', 6, 66, False),
    ('Color', 10, 1.9, False),
    ('Contrast', 0, 0.1, False),
    ('Brightness', 5, 1.0, False),
    ('Sharpness', 8, 1.54, False),
    ('Cutout', 8, 80, False),
    ('Cutout_Only_BBoxes', 6, 30, False),
    ('BBox_Cutout', 4, 0.3, False),
    ('TranslateX_BBox', 4, 100.0, True),
    ('TranslateY_BBox', 8, 200.0, True),
    ('TranslateX_Only_BBoxes', 6, 72.0, True),
    ('TranslateY_Only_BBoxes', 2, 24.0, True),
    ('ShearX_BBox', 8, 0.24, True),
    ('ShearY_Only_BBoxes', 2, 0.06, True),
    ('Rotate_BBox', 10, 30.0, True),
    ('Rotate_Only_BBoxes', 4, 12.0, True),
  ],
)
def test_arguments_of_levels(name, level, argument, is_signed):
  described = operations.OPERATIONS[name].argument
  assert described.from_level(level) == pytest.approx(argument)
  assert described.has_random_sign == is_signed


def test_operations_without_an_argument():
  assert {
    name for name, op in operations.OPERATIONS.items() if op.argument is None
  } == {'AutoContrast', 'Equalize', 'Flip_Only_BBoxes', 'Equalize_Only_BBoxes'}


def test_registered_policies():
  assert {'test', 'v0', 'v1', 'v2', 'v3'} <= set(autoaugment.POLICIES.names())


@pytest.mark.parametrize('name', ['v0', 'v1', 'v2', 'v3', 'randaugment-3-10'])
def test_a_policy_keeps_types_shapes_and_the_order_of_boxes(name):
  image = numpy_model.image(61, 83)
  boxes = np.concatenate([_BOXES, [[0.2, 0.2, 0.3, 0.3]] * 9]).astype('f')
  with tf.Graph().as_default(), tf.Session() as session:
    word = tf.placeholder(tf.int32, [])
    fed_boxes = tf.placeholder(tf.float32, [None, 4])
    with randomness.seeded(tf.stack([3, word])):
      result = autoaugment.distort_image_with_autoaugment(
        tf.constant(image), fed_boxes, name
      )
    run = session.make_callable(list(result), [fed_boxes, word])
    num_changed = 0
    for i in range(60):
      new_image, new_boxes = run(boxes, i)
      assert new_image.dtype == np.uint8 and new_boxes.dtype == np.float32
      assert new_image.shape == image.shape and new_boxes.shape == boxes.shape
      assert new_boxes.min() >= 0 and new_boxes.max() <= 1
      # All others are alike and stay alike.
      assert (new_boxes[3:] == new_boxes[3]).all()
      # The third holds the first two, before and after.
      assert (new_boxes[2, :2] <= new_boxes[:2, :2]).all()
      assert (new_boxes[2, 2:] >= new_boxes[:2, 2:]).all()
      num_changed += (new_image != image).any()
    assert num_changed > 25
    for i in range(20):
      new_image, new_boxes = run(boxes[:0], i)
      assert new_image.shape == image.shape and new_boxes.shape == (0, 4)


def test_policy_test_is_a_translation_and_an_equalization():
  image = numpy_model.image(40, 130)
  with tf.Graph().as_default(), tf.Session() as session:
    run = _runner(autoaugment.POLICIES.get('test'), image, _BOXES, session)
    signs = []
    for word in range(200):
      new_image, new_boxes = run(word)
      signs.append(bool(new_boxes[0, 1] > _BOXES[0, 1]))
      amount = -100.0 if signs[-1] else 100.0
      if word < 20:
        np.testing.assert_array_equal(
          new_image,
          numpy_model.equalize(numpy_model.translate_x(image, amount)),
        )
        np.testing.assert_allclose(
          new_boxes,
          [
            numpy_model.translate_box(box, 40, 130, amount, True)
            for box in _BOXES
          ],
          atol=1e-6,
        )
  assert _close_to(sum(signs), 0.5, 200)


@pytest.mark.slow
def test_how_often_sub_policies_are_drawn_and_steps_are_taken():
  # Additions of 11 * level; sums tell which steps were taken.
  policy = [
    [('SolarizeAdd', 0.3, 1), ('SolarizeAdd', 0.8, 2)],
    [('SolarizeAdd', 1.0, 4)],
    [('SolarizeAdd', 0.0, 10), ('SolarizeAdd', 1.0, 5)],
    [('Posterize', 0.0, 10)],
  ]
  image = np.zeros([1, 1, 3], np.uint8)
  with tf.Graph().as_default(), tf.Session() as session:
    run = _runner(
      autoaugment.policy_from_config(policy), image, _BOXES[:0], session
    )
    found = np.array([run(word)[0][0, 0, 0] for word in range(4000)])
  # Nothing happens in the last one, and in the first one with 0.7 * 0.2.
  shares = {
    0: (1 + 0.7 * 0.2) / 4,
    11: 0.3 * 0.2 / 4,
    22: 0.7 * 0.8 / 4,
    33: 0.3 * 0.8 / 4,
    44: 1 / 4,
    55: 1 / 4,
  }
  assert set(found) == set(shares)
  for value, share in shares.items():
    assert _close_to((found == value).sum(), share, 4000), value


def test_signs_of_two_steps_are_independent():
  policy = [[('TranslateX_BBox', 1.0, 0.08), ('TranslateY_BBox', 1.0, 0.08)]]
  image = np.zeros([9, 9, 3], np.uint8)
  image[4, 4] = 255
  with tf.Graph().as_default(), tf.Session() as session:
    run = _runner(
      autoaugment.policy_from_config(policy), image, _BOXES[:0], session
    )
    found = [
      tuple(np.argwhere(run(word)[0][..., 0] == 255)[0]) for word in range(800)
    ]
  places = [(2, 2), (2, 6), (6, 2), (6, 6)]
  assert set(found) == set(places)
  for place in places:
    assert _close_to(found.count(place), 0.25, 800)


def test_the_same_operation_twice_draws_twice():
  policy = [[('TranslateX_BBox', 1.0, 0.08), ('TranslateX_BBox', 1.0, 0.08)]]
  image = np.zeros([1, 13, 3], np.uint8)
  image[0, 6] = 255
  with tf.Graph().as_default(), tf.Session() as session:
    run = _runner(
      autoaugment.policy_from_config(policy), image, _BOXES[:0], session
    )
    found = [run(word)[0][0, :, 0].argmax() for word in range(800)]
  assert set(found) == {2, 6, 10}
  assert _close_to(found.count(6), 0.5, 800)


@pytest.mark.slow
def test_randaugment_draws_all_operations_alike(monkeypatch):
  names = sorted(operations.OPERATIONS)
  # Each operation only leaves its number behind, in another place each time.
  taken = {
    name: operations.Operation(
      lambda image, number=number: tf.concat(
        [image[:, 1:], tf.fill([1, 1, 3], tf.constant(number, tf.uint8))], 1
      )
    )
    for number, name in enumerate(names, 1)
  }
  monkeypatch.setattr(operations, 'OPERATIONS', taken)
  policy = sub_policies.random_operations(3, 5.0)
  with tf.Graph().as_default(), tf.Session() as session:
    image = np.zeros([1, 4, 3], np.uint8)
    run = _runner(policy, image, _BOXES, session)
    found = np.array([run(word)[0][0, :, 0] for word in range(2000)])
  assert (found[:, 0] == 0).all()
  for step in (1, 2, 3):
    for number in range(1, 26):
      assert _close_to((found[:, step] == number).sum(), 1 / 25, 2000)
  same = (found[:, 1] == found[:, 2]).sum()
  assert _close_to(same, 1 / 25, 2000)


def test_a_seed_decides_everything_and_images_differ():
  image = numpy_model.image(48, 64)
  results = []
  for _ in range(2):
    with tf.Graph().as_default(), tf.Session() as session:
      run = _runner(autoaugment.POLICIES.get('v0'), image, _BOXES, session)
      results.append([run(word) for word in range(40)])
  for first, second in zip(*results):
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
  distinct = {result[0].tobytes() for result in results[0]}
  assert len(distinct) > 8


def test_without_a_seed_every_run_differs():
  image = numpy_model.image(48, 64)
  with tf.Graph().as_default(), tf.Session() as session:
    result, _ = autoaugment.distort_image_with_autoaugment(
      tf.constant(image), tf.constant(_BOXES), 'v2'
    )
    distinct = {session.run(result).tobytes() for _ in range(20)}
  assert len(distinct) > 5


def test_uniform_numbers_of_a_seed():
  with tf.Graph().as_default(), tf.Session() as session:
    with randomness.seeded(tf.constant([1, 2])):
      first = [randomness.uniform([1000]) for _ in range(3)]
      with randomness.repetition(0):
        first.append(randomness.uniform([1000]))
      with randomness.repetition(1):
        first.append(randomness.uniform([1000]))
    with randomness.seeded(tf.constant([1, 2])):
      again = randomness.uniform([1000])
      ints = randomness.integer(7, [7000])
      limits = randomness.integer([2, 5], [2])
    first, again, ints, limits = session.run([first, again, ints, limits])
  np.testing.assert_array_equal(first[0], again)
  numbers = np.array(first)
  assert numbers.min() >= 0 and numbers.max() < 1
  np.testing.assert_allclose(numbers.mean(axis=1), 0.5, atol=0.045)
  correlation = np.corrcoef(numbers) - np.eye(len(numbers))
  assert np.abs(correlation).max() < 0.15
  assert sorted(set(ints)) == list(range(7))
  assert all(
    _close_to((ints == value).sum(), 1 / 7, 7000) for value in range(7)
  )
  assert limits[0] < 2 and limits[1] < 5


def test_a_new_policy_is_a_name_and_a_list(monkeypatch):
  monkeypatch.setattr(policy_registry.POLICIES, '_entries', {})
  policy_registry.register_sub_policies('mine', [[('Equalize', 1.0, 0)]])

  @policy_registry.register_policy('darker')
  def darker(image, boxes_normalized):
    return image // 2, boxes_normalized

  image = numpy_model.image(20, 20)
  with tf.Graph().as_default(), tf.Session() as session:
    outputs = session.run(
      [
        autoaugment.distort_image_with_autoaugment(
          tf.constant(image), tf.constant(_BOXES), name
        )
        for name in ('mine', 'darker')
      ]
    )
  np.testing.assert_array_equal(outputs[0][0], numpy_model.equalize(image))
  np.testing.assert_array_equal(outputs[1][0], image // 2)
  assert darker is autoaugment.POLICIES.get('darker')


def test_the_graph_does_not_grow_with_the_sub_policies():
  """Published v1 has 20 of them and 15 operations."""
  with tf.Graph().as_default() as graph:
    autoaugment.POLICIES.get('v1')(
      tf.zeros([30, 30, 3], tf.uint8), tf.constant(_BOXES)
    )
    definition = graph.as_graph_def()
  num_nodes = len(definition.node) + sum(
    len(function.node_def) for function in definition.library.function
  )
  assert num_nodes < 2200
