"""Options of an export: which go together, and what the formats get."""

import pytest

from serving import contract
from tests import tiny_export
from utils import errors


@pytest.mark.parametrize(
  'formats_given, options, told',
  [
    ('onnx', {'use_tpu': True}, 'use_tpu: True .* export_format: saved_model'),
    ('tflite', {'freeze': True}, 'freeze: True .*saved_model'),
    ('saved_model,onnx', {'tflite_types': ['int8']}, 'tflite_types: int8 .*te'),
    ('tflite', {'onnx_opset': 14}, 'onnx_opset: 14 .*export_format: onnx'),
    ('tflite', {'onnx_types': ['int8']}, 'onnx_types: int8 .*format: onnx'),
    ('tflite', {'representative_images': 9}, 'images: 9 .*tflite_types: int8'),
    ('onnx', {'representative_file_pattern': 'r'}, 'pattern: r .*int8'),
    ('onnx', {'input_type': 'bytes'}, "input_type: 'bytes' is unknown"),
    ('onnx', {'input_name': ''}, "input_name: '' has to be of letters"),
    ('onnx', {'input_name': 'a b'}, "input_name: 'a b' has to be of letters"),
    ('onnx', {'input_name': 'a\n'}, 'input_name'),
  ],
)
def test_options_are_refused_before_anything_is_built(
  model, tmp_path, writes_text, formats_given, options, told
):
  with pytest.raises(errors.ConfigError, match=told):
    tiny_export.export_text(
      tmp_path / 'e', model, export_format=formats_given, **options
    )
  assert not writes_text


def test_options_at_their_defaults_may_be_given_to_any_format(
  model, tmp_path, writes_text
):
  tiny_export.export_text(
    tmp_path / 'e',
    model,
    export_format='frozen_graph',
    use_tpu=False,
    freeze=False,
    tflite_types=['float32'],
    representative_file_pattern='',
    representative_images=100,
    onnx_opset=13,
    cast_num_detections_to_float=True,
  )
  assert len(writes_text) == 1


@pytest.mark.parametrize(
  'batch_size, params_override, version',
  [
    (1, '', 'v1'),
    (-1, '', 'batched'),
    (None, 'postprocess.nms_version=v1', 'v1'),
    (-1, 'postprocess.nms_version=v2', 'v2'),
  ],
)
def test_nms_of_any_number_of_images(
  model, tmp_path, writes_text, batch_size, params_override, version
):
  tiny_export.export_text(
    tmp_path / 'export',
    model,
    batch_size=batch_size,
    params_override=params_override,
  )
  (request,) = writes_text
  assert request.params.postprocess.nms_version == version


def test_options_reach_the_request(model, tmp_path, writes_text):
  written = tiny_export.export_text(
    tmp_path / 'export',
    model,
    batch_size=-1,
    image_size=[40, 70],
    input_type='image_bytes',
    input_name='img',
    output_image_info=False,
    output_normalized_coordinates=True,
    cast_num_detections_to_float=True,
    cast_detection_classes_to_float=True,
    freeze=True,
    params_override='postprocess.nms_version=batched',
    tflite_types=['int8'],
    representative_file_pattern='a',
    representative_images=3,
    onnx_opset=11,
    onnx_types=['int8'],
    export_format='saved_model,onnx,tflite',
  )
  request, *others = writes_text
  # All formats get the same one.
  assert others == [request] * 2
  assert request.params.postprocess.nms_version == 'batched'
  assert request.params.retinanet_head.num_filters == 8
  assert request.checkpoint == model.checkpoint
  assert request.options == (
    'image_bytes',
    None,
    (40, 70),
    'img',
    False,
    True,
    True,
    True,
    False,
    True,
    ['int8'],
    'a',
    3,
    11,
    ['int8'],
  )
  assert written.coordinates == contract.NORMALIZED
  assert (written.batch_size, written.padded_size) == (None, (48, 80))


def test_any_batch_keeps_the_nms_version(model, tmp_path, writes_text):
  tiny_export.export_text(
    tmp_path / 'e',
    model,
    batch_size=None,
    params_override='postprocess.nms_version=v2',
  )
  assert writes_text[0].params.postprocess.nms_version == 'v2'


def test_without_a_tpu_there_is_no_bfloat16(model, tmp_path, writes_text):
  tiny_export.export_text(
    tmp_path / 'e', model, params_override='architecture.use_bfloat16=true'
  )
  assert not writes_text[0].params.architecture.use_bfloat16
  tiny_export.export_text(
    tmp_path / 'f',
    model,
    params_override='architecture.use_bfloat16=true',
    use_tpu=True,
    export_format='saved_model',
  )
  assert writes_text[1].params.architecture.use_bfloat16
  assert writes_text[1].options.use_tpu


def test_the_size_is_that_of_training_and_another_is_warned_of(
  model, tmp_path, writes_text, caplog
):
  caplog.set_level('INFO')
  trained = tuple(model.params.retinanet_parser.output_size)
  written = tiny_export.export_text(
    tmp_path / 'e', model, input_type='image_bytes'
  )
  assert written.image_size == trained
  assert 'input_image_size' not in caplog.text
  assert 'step 7, images of {} x {} pixels'.format(*trained) in caplog.text
  other = tiny_export.export_text(
    tmp_path / 'o', model, input_type='image_bytes', image_size=(40, 70)
  )
  assert other.image_size == (40, 70)
  assert 'input_image_size: 40,70 is not the size of' in caplog.text
