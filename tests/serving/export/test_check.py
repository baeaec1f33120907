"""Exports that differ from their checkpoint fail."""

import logging
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving import contract
from serving.export import check, export, formats
from serving.graph import frozen
from serving.predictors import checkpoint, exported, predictor, runtimes
from tests import tiny_export
from utils import errors


@pytest.fixture(scope='module')
def written(model, tmp_path_factory):
  """An export that was not checked."""
  directory = str(tmp_path_factory.mktemp('exports') / 'export')
  export.export(
    directory,
    model.directory,
    image_size=(64, 64),
    export_format='frozen_graph',
    check=False,
  )
  return directory


@pytest.fixture(scope='module')
def reference(model):
  return checkpoint.CheckpointPredictor(
    model.checkpoint, model.params, (64, 64)
  )


@pytest.fixture()
def checks_quickly(reference, monkeypatch):
  """Builds the checkpoint's graph once for all tests."""
  monkeypatch.setattr(
    check.checkpoint, 'CheckpointPredictor', lambda *args: reference
  )


def _check(model, directory, **changes):
  return check.check(
    tiny_export.request_of(model, **changes),
    directory,
    contract.read(directory),
  )


def test_images_come_from_where_they_can(
  model, written, records, caplog, checks_quickly
):
  caplog.set_level(logging.INFO)
  with_records = tiny_export.resolve({'eval': {'eval_file_pattern': records}})
  for changes, origin in (
    ({'params': with_records}, 'eval.eval_file_pattern'),
    ({'representative_file_pattern': records}, 'representative_file_pattern'),
    ({'representative_file_pattern': records + '?'}, 'made up'),
    ({}, 'made up'),
  ):
    caplog.clear()
    (comparison,) = _check(model, written, **changes)
    assert '4 image(s): ' + origin in caplog.text
    assert comparison.measured.num_compared > 10


def _changed(changes):
  """`runtimes.load` of a model that gives something else."""

  def load(export_dir, artefact):
    run = original(export_dir, artefact)

    def run_changed(batch):
      outputs = run(batch)
      outputs.update(
        {key: change(outputs[key]) for key, change in changes.items()}
      )
      return outputs

    return run_changed

  original = runtimes.load
  return load


@pytest.mark.parametrize(
  'changes, told',
  [
    ({'detection_boxes': lambda x: x + 0.06}, r'boxes 0\.06'),
    ({'detection_scores': lambda x: x * 0.99}, r'scores 0\.00'),
    ({'detection_scores': lambda x: x * np.nan}, 'scores nan'),
    ({'detection_classes': lambda x: 3 - x}, ' [0-9.]{3}% of'),
    ({'detection_boxes': lambda x: x[..., [1, 0, 3, 2]]}, '% of'),
    ({'num_detections': lambda x: x * 0}, '0.0% of'),
  ],
)
def test_wrong_outputs_fail(
  model, written, monkeypatch, checks_quickly, changes, told
):
  monkeypatch.setattr(runtimes, 'load', _changed(changes))
  with pytest.raises(errors.UserError, match=told) as raised:
    _check(model, written)
  assert 'frozen_graph differs' in str(raised.value)
  assert '--nocheck' in str(raised.value)


def test_a_failed_check_leaves_no_export(model, tmp_path, monkeypatch):
  original = frozen.freeze

  def with_larger_kernels(*args):
    frozen_model = original(*args)
    for node in frozen_model.graph_def.node:
      if node.name.endswith('box-predict/kernel'):
        value = tf.make_ndarray(node.attr['value'].tensor) * 1.01
        node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
    return frozen_model

  monkeypatch.setattr(frozen, 'freeze', with_larger_kernels)
  with pytest.raises(errors.UserError, match='frozen_graph differs'):
    export.export(
      str(tmp_path / 'a'),
      model.directory,
      image_size=(64, 64),
      export_format='frozen_graph',
    )
  assert os.listdir(str(tmp_path)) == []


def test_a_model_that_detects_nothing(model, written, monkeypatch, caplog):
  nothing = predictor.ImageDetections(
    np.zeros([0, 4], np.float32), np.zeros([0], np.int32), np.zeros([0])
  )
  for class_ in (
    check.checkpoint.CheckpointPredictor,
    exported.ExportedPredictor,
  ):
    monkeypatch.setattr(class_, 'predict', lambda self, x: [nothing] * len(x))
  caplog.set_level(logging.INFO)
  (comparison,) = _check(model, written)
  assert comparison.verdict == 'nothing compared'
  (row,) = [r for r in caplog.text.splitlines() if '│ frozen_graph' in r]
  assert 'nothing compared' in row and 'none (>= 95%)' in row
  assert ' ok ' not in row and '100' not in row
  assert 'NOT COMPARED: frozen_graph. In these images (made up)' in caplog.text


def test_a_verdict_needs_detections(model, written, caplog, checks_quickly):
  (comparison,) = _check(model, written)
  assert comparison.verdict == 'ok'
  assert 'NOT COMPARED' not in caplog.text
  wrong = comparison.measured._replace(box_error=1.0)
  assert comparison._replace(measured=wrong).verdict == 'differs'


def test_class_maps_have_no_boxes_to_tell_of():
  none = np.zeros([0], np.int32)
  one = check.detection_difference.predictor.ImageDetections(
    None, none, np.float32([]), class_map=np.zeros([4, 5], np.uint8)
  )
  measured = check.detection_difference.compare(
    [one], [one], [1.0], 0.5, 0.01, None
  )
  tolerance = check.TOLERANCES['onnx', '']
  compared = check.Comparison('onnx', measured, tolerance)
  assert compared.verdict == 'ok'
  assert 'boxes' not in ''.join(compared.cells())
  assert compared.cells()[-1] == (
    f'share of pixels of other classes 0.00000 (<= {tolerance.mask_error:g})'
  )


def test_every_variant_has_a_tolerance():
  variants = set()
  for module in (formats.tflite, formats.onnx_model):
    first, *others = module.TYPES
    assert first == 'float32'
    variants |= {(module.FORMAT, name) for name in others}
  assert set(check.TOLERANCES) == variants | {
    (name, '') for name in formats.FORMATS.names()
  }
