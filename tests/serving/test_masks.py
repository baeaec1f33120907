"""A model with masks goes through what exports, predictors and files do."""

import csv
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from pycocotools import mask as mask_lib

from modeling import served_output
from modeling.models import retinanet
from serving.export import export
from serving.predictors import checkpoint, exported, predictor
from tests import programs, record_factory, tiny_export
from utils import errors

_SERVED = dict(
  served_output.DETECTIONS,
  detection_masks=served_output.ServedOutput(
    'DetectionMasks', served_output.MASKS
  ),
)


def _ellipses(outputs):
  """float32 [batch, n, 28, 28]; the higher the score, the larger."""
  place = np.linspace(-1, 1, 28, dtype=np.float32)
  distance = tf.constant(np.hypot(place, place[:, np.newaxis]))
  radius = outputs['detection_scores'][..., tf.newaxis, tf.newaxis]
  return tf.sigmoid(8 * (radius - distance))


@pytest.fixture()
def with_masks(monkeypatch, tmp_path):
  build = retinanet.RetinanetModel._build_outputs

  def build_with_masks(self, images, labels, mode):
    outputs = build(self, images, labels, mode)
    if 'detection_scores' in outputs:
      outputs['detection_masks'] = _ellipses(outputs)
    return outputs

  monkeypatch.setattr(
    retinanet.RetinanetModel, '_build_outputs', build_with_masks
  )
  monkeypatch.setattr(retinanet.RetinanetModel, 'served_outputs', _SERVED)
  (tmp_path / 'model').mkdir()
  return tiny_export.make(tmp_path / 'model')


@pytest.mark.slow
def test_masks_from_checkpoint_to_files(with_masks, tmp_path, caplog):
  model, directory = with_masks, str(tmp_path / 'export')
  caplog.set_level('INFO')
  written = export.export(
    directory,
    model.directory,
    image_size=(64, 64),
    input_type='image_bytes',
    export_format='saved_model,frozen_graph,onnx',
  )
  images = [record_factory.pixels(40, 60, seed=i) for i in range(2)]
  expected = checkpoint.CheckpointPredictor(
    model.checkpoint, model.params, (64, 64)
  ).predict(images)
  for artefact in written.artefacts:
    (spec,) = [s for s in artefact.outputs if s.kind == served_output.MASKS]
    if artefact.format != 'onnx':
      assert spec.name == 'DetectionMasks:0'
    assert (spec.dtype, spec.shape) == ('float32', (1, 7, 28, 28))
    found = exported.load(directory, artefact.format).predict(images)
    for a, b in zip(found, expected):
      assert len(a.masks) == len(a.boxes) > 2
      np.testing.assert_allclose(a.masks, b.masks, atol=1e-2)
  assert 'masks 0.0' in caplog.text and '(<= 0.01)' in caplog.text

  picture = tmp_path / 'a.png'
  picture.write_bytes(record_factory.encode(images[0]))
  paths = {
    name: tmp_path / ('a.' + name) for name in ('json', 'csv', 'html', 'dir')
  }
  run = programs.run(
    'inference.py',
    f'--saved_model_dir={directory}',
    *(f'--output_{name}={path}' for name, path in paths.items()),
    '--min_score_threshold=0',
    picture,
  )
  assert run.returncode == 0, run.stderr
  results = json.loads(paths['json'].read_text())
  masks = expected[0].clipped_to(40, 60).pasted_masks(40, 60)
  for result, mask in zip(results, masks):
    assert mask_lib.area(result['segmentation']) == mask.pixels.sum()
  rows = list(csv.DictReader(paths['csv'].read_text().splitlines()))
  assert len(rows) == len(results) == len(masks)
  assert any(json.loads(row['polygons']) for row in rows)
  assert '"masks": [["#' in paths['html'].read_text()


def test_what_a_format_cannot_carry_is_refused(with_masks, tmp_path):
  for message, options in (
    ('tflite carries raw .* puts out .* masks', {'export_format': 'tflite'}),
    ('onnx of the .* image by', {'export_format': 'onnx', 'batch_size': -1}),
  ):
    with pytest.raises(errors.ConfigError, match=message):
      export.export(
        str(tmp_path / 'export'),
        with_masks.directory,
        image_size=(64, 64),
        **options,
      )
    assert not (tmp_path / 'export').exists()


def test_masks_stay_in_place_where_boxes_are_clipped():
  boxes = np.float32([[2, 10, 12, 30], [0, 40, 5, 50]])
  masks = np.zeros([2, 28, 28], np.float32)
  masks[:, :, 14:] = 1
  found = predictor.ImageDetections(
    boxes, np.int32([1, 1]), np.float32([1, 0.5]), masks, boxes
  ).clipped_to(20, 24)
  assert found.boxes.tolist() == [[2, 10, 12, 24]]
  (mask,) = found.pasted_masks(20, 24)
  columns = mask.xmin + np.flatnonzero(mask.pixels.any(axis=0))
  # From the middle of the box as it was.
  assert abs(columns[0] - 20) <= 1 and columns[-1] == 23
