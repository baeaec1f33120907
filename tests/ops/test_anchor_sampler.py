"""Anchors are drawn by quota, by seed, and evenly."""

import numpy as np
import tensorflow.compat.v1 as tf

from ops import anchor_sampler

_SEEDS = np.int32([[1, 2], [3, 4], [5, 6]])


def _sample(is_positive, is_negative, seeds=_SEEDS, size=8, fraction=0.5):
  sampler = anchor_sampler.AnchorSampler(size, fraction)
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(
      sampler(
        tf.constant(is_positive), tf.constant(is_negative), tf.constant(seeds)
      )
    )


def _kinds(*rows):
  """Positive and negative anchors of images, 20 of each at most."""
  index = np.arange(50)
  return (
    np.stack([index < count for count, _ in rows]),
    np.stack([(index >= 20) & (index < 20 + count) for _, count in rows]),
  )


def test_quota_is_filled_with_negatives_and_never_exceeded():
  positive, negative = _kinds((20, 30), (3, 30), (0, 5))
  scores = _sample(positive, negative)
  counts = [[int(np.sum(row == kind)) for kind in (1, 0)] for row in scores]
  assert counts == [[4, 4], [3, 5], [0, 5]]
  assert np.all(positive[scores == 1]) and np.all(negative[scores == 0])
  assert np.all(scores >= -1)


def test_share_is_truncated():
  positive, negative = _kinds((20, 30))
  scores = _sample(positive, negative, _SEEDS[:1], size=7, fraction=0.3)
  assert [int(np.sum(scores == kind)) for kind in (1, 0)] == [2, 5]


def test_all_are_taken_where_there_is_room():
  positive, negative = _kinds((20, 30), (3, 30), (0, 0))
  scores = _sample(positive, negative, size=1000)
  np.testing.assert_array_equal(
    scores, np.where(positive, 1, np.where(negative, 0, -1))
  )


def test_seed_alone_decides():
  positive, negative = _kinds((20, 30), (20, 30), (20, 30))
  first, other, _ = _sample(positive, negative)
  assert np.any(first != other)
  _, _, again = _sample(positive, negative, _SEEDS[::-1])
  np.testing.assert_array_equal(first, again)


def test_every_anchor_is_as_likely():
  positive, negative = _kinds(*[(20, 30)] * 2000)
  seeds = np.stack([np.arange(2000), np.arange(2000)[::-1]], 1).astype(np.int32)
  scores = _sample(positive, negative, seeds)
  share = np.mean(scores >= 0, axis=0)
  # 4 of 20 and 4 of 30; five standard deviations.
  np.testing.assert_allclose(share[:20], 0.2, atol=0.045)
  np.testing.assert_allclose(share[20:], 4 / 30, atol=0.04)
