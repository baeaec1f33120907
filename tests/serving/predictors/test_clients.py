"""Scripts of docs/clients give the numbers of the framework."""

import doctest
import importlib.util
import os

import numpy as np
import pytest

from evaluation import batches
from serving.export import export
from serving.predictors import checkpoint
from tests import record_factory, tiny_run
from utils import mask_utils

_CLIENTS = os.path.join(
  os.path.dirname(os.path.dirname(os.path.abspath(tiny_run.__file__))),
  'docs',
  'clients',
)


@pytest.fixture(scope='module')
def exported(model, tmp_path_factory):
  directory = str(tmp_path_factory.mktemp('exports') / 'all')
  export.export(
    directory,
    model.directory,
    image_size=(60, 64),
    input_type='image_bytes',
    export_format='saved_model,onnx,tflite',
    check=False,
  )
  return directory


def _client(name):
  spec = importlib.util.spec_from_file_location(
    name, os.path.join(_CLIENTS, name + '.py')
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.mark.parametrize(
  'name', ['saved_model', 'onnx_client', 'tflite_client']
)
def test_agrees_with_the_checkpoint(model, exported, name):
  client = _client(name)
  if name == 'tflite_client':
    settings = model.params.postprocess
    client.SCORE_THRESHOLD = settings.score_threshold
    client.MOST = settings.max_total_size
  detect = client.load(exported)
  reference = checkpoint.CheckpointPredictor(
    model.directory, model.params, (60, 64)
  )
  for i, size in enumerate(((48, 64), (90, 31), (20, 33))):
    image = record_factory.pixels(*size, seed=i)
    (expected,) = reference.predict([image])
    given = record_factory.encode(image) if name == 'saved_model' else image
    boxes, classes, scores = detect(given)
    assert len(expected.scores) > 2
    np.testing.assert_allclose(scores, expected.scores, atol=1e-3)
    np.testing.assert_array_equal(classes, expected.classes)
    np.testing.assert_allclose(boxes, expected.boxes, atol=0.05)


def test_masks_are_pasted_as_by_the_framework():
  client = _client('instance_masks')
  assert doctest.testmod(client) == (0, 6)
  random = np.random.RandomState(0)
  masks = np.float32(random.uniform(size=[60, 28, 28]))
  corners = random.uniform(-40, 100, [60, 2])
  boxes = np.float32(
    np.concatenate([corners, corners + random.uniform(0, 60, [60, 2])], axis=1)
  )
  pasted = client.paste(masks, boxes, 70, 90)
  expected = mask_utils.paste_instance_masks(
    masks, batches.to_coco_boxes(boxes), 70, 90
  )
  assert 10 < expected.any(axis=(1, 2)).sum() < 60
  np.testing.assert_array_equal(pasted, expected)
