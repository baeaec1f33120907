"""Draws of a training step: the same when it is repeated, else others."""

import numpy as np
import tensorflow.compat.v1 as tf

from modeling.training import accumulation, step_randomness


def _draws(steps=(0,), seed=1, images=0.0):
  """[len(steps), 2, 4]: of two operations in each of the steps."""
  with tf.Graph().as_default(), tf.Session() as session:
    tf.set_random_seed(seed)
    step = tf.train.get_or_create_global_step()
    with step_randomness.for_images(tf.fill([2, 3], images)):
      drawn = tf.stack([step_randomness.uniform([4]) for _ in range(2)])
    session.run(step.initializer)
    result = []
    for value in steps:
      step.load(value, session)
      result.append(session.run(drawn))
  return np.array(result)


def test_draws_follow_from_seed_operation_step_and_images():
  drawn = _draws((0, 1, 10**6))
  assert len(set(drawn.ravel())) == drawn.size
  assert (drawn >= 0).all() and (drawn < 1).all()
  # In whatever order steps are done.
  np.testing.assert_array_equal(_draws((10**6, 0)), drawn[[2, 0]])
  for others in (_draws(seed=2), _draws(images=0.5)):
    assert not set(others.ravel()) & set(drawn.ravel())


def test_without_a_seed_chance_decides():
  assert not np.array_equal(_draws(seed=None), _draws(seed=None))


def test_parts_of_a_batch_draw_their_own():
  def compute(images):
    with step_randomness.for_images(images):
      drawn = step_randomness.uniform([4])
    place = tf.one_hot(tf.cast(images[0], tf.int32), 3)
    return place[:, tf.newaxis] * drawn

  with tf.Graph().as_default(), tf.Session() as session:
    tf.set_random_seed(1)
    step = tf.train.get_or_create_global_step()
    drawn = accumulation.sum_over_parts(
      compute, tf.range(3.0), 3, lambda images: tf.zeros([3, 4])
    )
    session.run(step.initializer)
    first, again = session.run(drawn), session.run(drawn)
  np.testing.assert_array_equal(first, again)
  assert len(set(first.ravel())) == 12
