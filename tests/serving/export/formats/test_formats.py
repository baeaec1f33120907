"""Requests that a format cannot carry out are refused by name."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import served_output
from ops import preprocess_ops
from serving.export import formats, request
from serving.export.formats import representative, tensor_inputs, tflite
from tests import record_factory, tiny_export, tiny_run
from utils import errors


@pytest.mark.parametrize(
  'name, changes, told',
  [
    ('onnx', {'onnx_opset': 12}, 'onnx_opset: 12 .* 13, 14, 15'),
    ('tflite', {'tflite_types': []}, 'tflite_types: nothing is named'),
    (
      'tflite',
      {'tflite_types': ['float23']},
      "'float23' is unknown; .* mean 'float32'",
    ),
    ('onnx', {'onnx_types': ['float16']}, "'float16' is unknown; .* int8"),
    ('onnx', {'onnx_types': ['int8']}, 'onnx_types: int8 needs repr'),
    ('tflite', {'batch_size': None}, 'batch_size: -1 .* tflite'),
    (
      'tflite',
      {'tflite_types': ['int8']},
      'int8 needs representative_file_pattern',
    ),
    (
      'tflite',
      {'tflite_types': ['int8'], 'representative_file_pattern': 'none*'},
      "No file matches 'none[*]'. Check representative_file_pattern;",
    ),
    (
      'tflite',
      {'tflite_types': ['int8'], 'representative_file_pattern': '/no/x*'},
      "'/no/x[*]' cannot be searched: .*. Check representative_file_pattern.",
    ),
  ],
)
def test_refused(model, name, changes, told):
  check = formats.FORMATS.get(name).check
  with pytest.raises(errors.ConfigError, match=told):
    check(tiny_export.request_of(model, **changes))


def test_records_without_images(model, tmp_path):
  records = record_factory.write_records(
    tmp_path / 'set', [record_factory.make_record(encoded=b'no image')]
  )
  changed = tiny_export.request_of(model, representative_file_pattern=records)
  with pytest.raises(errors.ConfigError, match='no image that can be read'):
    list(representative.batches(changed))
  good = tiny_run.write_data(tmp_path)
  changed = tiny_export.request_of(
    model, representative_file_pattern=good, representative_images=0
  )
  with pytest.raises(errors.ConfigError, match='images: 0 is below 1'):
    list(representative.batches(changed))


def test_batches_that_calibrate(model, tmp_path, caplog):
  changed = tiny_export.request_of(
    model,
    representative_file_pattern=tiny_run.write_data(tmp_path),
    representative_images=5,
    batch_size=2,
  )
  batches = list(representative.batches(changed))
  # Of seven images four are left to the check.
  assert '3 images are left to calibrate with, of 5' in caplog.text
  assert [batch.shape for batch in batches] == [(2, 64, 64, 3)] * 2
  np.testing.assert_array_equal(batches[1][0], batches[1][1])
  # The images of 60 x 40 pixels fill the width; below is padding.
  image = record_factory.pixels(seed=4)
  corner = (image[0, 0] / 255.0 - preprocess_ops.MEAN_RGB) / (
    preprocess_ops.STDDEV_RGB
  )
  np.testing.assert_allclose(batches[0][0, 0, 0], corner, atol=1e-5)
  assert np.all(batches[0][0, 43:] == 0)


def test_records_of_other_classes(model, tmp_path):
  records = [record_factory.make_record(classes=(c,)) for c in (1, 1, 1, 1, 9)]
  changed = tiny_export.request_of(
    model,
    representative_file_pattern=record_factory.write_records(
      tmp_path / 'set', records
    ),
    onnx_types=['int8'],
  )
  with pytest.raises(
    errors.ConfigError, match='objects of class 9, .* has classes 1 to 2'
  ):
    formats.FORMATS.get('onnx').check(changed)


def test_a_model_in_two_stages_has_no_integers(model, monkeypatch):
  monkeypatch.setattr(
    request.ExportRequest, 'kinds', {served_output.BOXES, served_output.MASKS}
  )
  changed = tiny_export.request_of(
    model, onnx_types=['int8'], representative_file_pattern='r'
  )
  with pytest.raises(errors.ConfigError, match="'retinanet' is none of"):
    formats.FORMATS.get('onnx').check(changed)


def test_what_a_converter_says_is_told(model, tmp_path, monkeypatch):
  def fail(self):
    raise tflite.convert.ConverterError(
      'See console for info.\nTraceback\nF x.cc:1] Check failed: 3 vs. 4\n'
      'Aborted\n'
    )

  monkeypatch.setattr(tf.lite.TFLiteConverter, 'convert', fail)
  with pytest.raises(errors.UserError) as raised:
    tflite.write(tiny_export.request_of(model), str(tmp_path))
  assert str(raised.value) == (
    'TensorFlow 1.15 cannot convert this model to TFLite (float32): F '
    'x.cc:1] Check failed: 3 vs. 4'
  )
  assert os.listdir(str(tmp_path)) == []


def test_boxes_of_padded_models_are_clipped_to_the_image(model):
  asked = tiny_export.request_of(
    model, input_type='image_bytes', image_size=(40, 60)
  )
  changed = tensor_inputs.adapted(asked, 'ONNX')
  assert changed.options.input_type == 'raw_image_tensor'
  frozen_model = changed.frozen()
  names = {spec.key: spec.name for spec in frozen_model.outputs}
  boxes, info = tiny_export.run(
    frozen_model.graph_def,
    [names['raw_boxes'], names['image_info']],
    {'Placeholder:0': np.random.RandomState(0).randn(1, 48, 64, 3)},
  )
  assert boxes[..., 2].max() == 39
  assert boxes[..., 3].max() == 59
  assert info[0].tolist() == [[48, 64], [40, 60], [1, 1], [0, 0]]
