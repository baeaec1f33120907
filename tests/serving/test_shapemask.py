"""Masks within outer boxes go through exports and predictors."""

import numpy as np
import pytest

from modeling import served_output
from serving import contract as contract_lib
from serving.export import export
from serving.predictors import checkpoint, exported, predictor
from tests import record_factory, shapemask_batch, tiny_export


def test_outer_boxes_are_pixels_also_beside_shares():
  outputs = {
    served_output.COUNT: 1,
    served_output.BOXES: np.float32([[0.25, 0.5, 0.5, 0.75], [0] * 4]),
    served_output.CLASSES: np.int32([2, 0]),
    served_output.SCORES: np.float32([0.5, 0]),
    served_output.MASKS: np.ones([2, 4, 4], np.float32),
    served_output.MASK_BOXES: np.float32([[8, 24, 20, 40], [0] * 4]),
  }
  # 40 x 60 pixels, doubled for the model.
  info = np.float32([[40, 60], [80, 120], [2, 2], [0, 0]])
  found = predictor.detections_of_image(
    outputs, 1 / np.float32([40, 60]), info, (80, 120)
  )
  np.testing.assert_allclose(found.boxes, [[10, 30, 20, 45]], rtol=1e-6)
  assert found.mask_boxes.tolist() == [[4, 12, 10, 20]]
  (mask,) = found.pasted_masks(40, 60)
  assert (mask.ymin, mask.xmin) <= (4, 12) and mask.pixels.sum() < 120


@pytest.mark.slow
@pytest.mark.parametrize(
  'options',
  [
    {'input_type': 'image_bytes', 'output_normalized_coordinates': True},
    {'input_type': 'raw_image_tensor', 'batch_size': -1},
    {'input_type': 'image_tensor', 'output_normalized_coordinates': True},
  ],
)
def test_exports_agree_with_the_checkpoint(tmp_path, options):
  (tmp_path / 'model').mkdir()
  model = tiny_export.make(tmp_path / 'model', shapemask_batch.TINY)
  directory = str(tmp_path / 'export')
  written = export.export(
    directory, model.directory, image_size=(64, 64), **options
  )
  (artefact,) = written.artefacts
  names = {spec.key: (spec.name, spec.dtype) for spec in artefact.outputs}
  assert names['detection_outer_boxes'] == ('DetectionOuterBoxes:0', 'float32')
  assert names['detection_masks'] == ('DetectionMasks:0', 'float32')
  assert names['detection_classes'] == ('DetectionClasses:0', 'int32')
  assert contract_lib.read(directory) == written
  # What a client makes fit is rounded, which can change a ranking.
  is_encoded = options['input_type'] != 'image_tensor'
  size = (40, 60) if is_encoded else (64, 64)
  images = [record_factory.pixels(*size, seed=i) for i in range(3)]
  expected = checkpoint.CheckpointPredictor(
    model.checkpoint, model.params, (64, 64)
  ).predict(images)
  for got, want in zip(exported.load(directory).predict(images), expected):
    assert got.masks.shape == want.masks.shape == (len(got.boxes), 16, 16)
    assert len(got.boxes) > 1
    for name in ('boxes', 'mask_boxes', 'masks'):
      np.testing.assert_allclose(
        getattr(got, name), getattr(want, name), atol=1e-3
      )
    assert not np.array_equal(got.boxes, got.mask_boxes)
