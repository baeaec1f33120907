"""A new policy takes one file, as the documentation shows it."""

import importlib
import os
import re
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import autoaugment
from dataloader.autoaugment import operations, policies, policy_registry
from tests import golden_numbers
from tests.dataloader.autoaugment import numpy_model
from utils import discovery

_DOCUMENT = os.path.join(
  os.path.dirname(os.path.dirname(golden_numbers.__file__)),
  'docs',
  'augmentation.md',
)


def _text():
  with open(_DOCUMENT, encoding='utf-8') as f:
    return f.read()


@pytest.fixture
def documented_policies(tmp_path, monkeypatch):
  """Puts the examples where the policies are."""
  monkeypatch.setattr(
    policy_registry.POLICIES,
    '_entries',
    dict(policy_registry.POLICIES._entries),
  )
  monkeypatch.setattr(policies, '__path__', [str(tmp_path)])
  examples = re.findall(r'```python\n(.*?)```', _text(), re.DOTALL)
  assert len(examples) == 2
  names = ['documented_{}'.format(i) for i in range(len(examples))]
  for name, example in zip(names, examples):
    (tmp_path / (name + '.py')).write_text(example)
  importlib.invalidate_caches()
  discovery.import_submodules(policies.__path__, policies.__name__)
  yield
  for name in names:
    del sys.modules['{}.{}'.format(policies.__name__, name)]


def test_the_documented_examples_work(documented_policies):
  image = numpy_model.image(40, 60)
  boxes = np.float32([[0.1, 0.2, 0.4, 0.6]])
  with tf.Graph().as_default(), tf.Session() as session:
    outputs = {
      name: autoaugment.distort_image_with_autoaugment(
        tf.constant(image), tf.constant(boxes), name
      )
      for name in ('microscope', 'upside_down')
    }
    seen = {name: set() for name in outputs}
    for _ in range(20):
      for name, (new_image, new_boxes) in session.run(outputs).items():
        assert new_image.shape == image.shape
        seen[name].add(new_image.tobytes())
        if name == 'upside_down' and (new_image != image).any():
          np.testing.assert_array_equal(new_image, image[::-1, ::-1])
          np.testing.assert_allclose(
            new_boxes, [[0.6, 0.4, 0.9, 0.8]], atol=1e-6
          )
  assert len(seen['upside_down']) == 2
  assert len(seen['microscope']) > 3


def test_the_documentation_names_every_operation_and_policy():
  text = _text()
  for name in operations.OPERATIONS:
    assert '`{}`'.format(name) in text, name
  for name in autoaugment.POLICIES.names():
    assert '`{}`'.format(name) in text, name
