"""A server of ONNX answers as one of a SavedModel does."""

import numpy as np
import pytest

from serving.export import export
from serving.http import served_model
from tests.serving.http import serving_run


@pytest.mark.parametrize(
  'is_normalized', [pytest.param(False, marks=pytest.mark.slow), True]
)
def test_the_same_json(model, tmp_path, is_normalized):
  directory = str(tmp_path / 'export')
  export.export(
    directory,
    model.checkpoint,
    image_size=(40, 60),
    input_type='image_bytes',
    batch_size=-1,
    output_normalized_coordinates=is_normalized,
    export_format='saved_model,onnx',
    check=False,
  )
  saved_model = served_model.ServedModel(directory)
  onnx = served_model.ServedModel(directory, 'onnx')
  assert saved_model.artefact.format == 'saved_model'
  assert onnx.artefact.input_type == 'image_bytes'
  pictures = serving_run.pictures(3)
  expected, found = (m.run(pictures) for m in (saved_model, onnx))
  for a, b in zip(found, expected):
    assert sorted(a) == sorted(b)
    assert b['num_detections'] > 2
    for key, value in b.items():
      assert a[key].dtype == value.dtype
      np.testing.assert_allclose(a[key], value, atol=1e-3)
  # Names of tensors apart, metadata tells the same.
  a, b = onnx.signature, saved_model.signature
  assert a['inputs']['input']['dtype'] == 'DT_STRING'
  assert a['outputs'].keys() == b['outputs'].keys()
  dims = a['outputs']['detection_boxes']['tensor_shape']['dim']
  assert [side['size'] for side in dims] == ['-1', '7', '4']
  assert b['inputs']['input'] == {
    'name': 'Placeholder:0',
    'dtype': 'DT_STRING',
    'tensor_shape': {
      'dim': [{'size': '-1', 'name': ''}],
      'unknown_rank': False,
    },
  }
