"""A policy that is a function, and what the documentation names."""

import os

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import autoaugment
from dataloader.autoaugment import operations, policy_registry, randomness
from tests import programs
from tests.dataloader.autoaugment import numpy_model


def _upside_down(image, boxes_normalized):
  """Every second image is turned by 180 degrees."""
  return tf.cond(
    randomness.happens(0.5),
    lambda: (
      tf.reverse(image, [0, 1]),
      1.0 - tf.gather(boxes_normalized, [2, 3, 0, 1], axis=1),
    ),
    lambda: (tf.identity(image), tf.identity(boxes_normalized)),
  )


def test_a_policy_is_a_function(monkeypatch):
  entries = dict(policy_registry.POLICIES._entries)
  monkeypatch.setattr(policy_registry.POLICIES, '_entries', entries)
  policy_registry.register_policy('upside_down')(_upside_down)
  image = numpy_model.image(40, 60)
  boxes = np.float32([[0.1, 0.2, 0.4, 0.6]])
  with tf.Graph().as_default(), tf.Session() as session:
    outputs = autoaugment.distort_image_with_autoaugment(
      tf.constant(image), tf.constant(boxes), 'upside_down'
    )
    seen = set()
    for _ in range(20):
      new_image, new_boxes = session.run(outputs)
      seen.add(new_image.tobytes())
      if (new_image != image).any():
        np.testing.assert_array_equal(new_image, image[::-1, ::-1])
        np.testing.assert_allclose(new_boxes, [[0.6, 0.4, 0.9, 0.8]], atol=1e-6)
  assert len(seen) == 2


def test_the_documentation_names_every_operation_and_policy():
  path = os.path.join(programs.ROOT, 'docs', 'augmentation.md')
  with open(path, encoding='utf-8') as f:
    text = f.read()
  for name in (*operations.OPERATIONS, *autoaugment.POLICIES.names()):
    assert f'`{name}`' in text, name
