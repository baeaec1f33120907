"""The program export_saved_model.py, and its Python entry point."""

import json

import pytest
import tensorflow.compat.v1 as tf

import export_saved_model
from serving import contract
from tests import programs, tiny_export
from utils import errors

_DEFAULTS = {
  'export_dir': None,
  'checkpoint_path': None,
  'model': None,
  'config_file': '',
  'params_override': '',
  'override_export_dir': False,
  'use_tpu': False,
  'batch_size': 1,
  'input_type': 'image_bytes',
  'input_name': None,
  'input_image_size': None,
  'output_image_info': True,
  'output_normalized_coordinates': False,
  'cast_num_detections_to_float': False,
  'cast_detection_classes_to_float': False,
  'export_format': ['saved_model'],
  'freeze': False,
  'check': True,
  'tflite_types': ['float32'],
  'representative_file_pattern': '',
  'representative_images': 100,
  'onnx_opset': 13,
  'onnx_types': ['float32'],
}
# Parses a command line and prints what the exporter would be called with.
_PARSED = """
import json, sys
import export_saved_model
from utils import program
export_saved_model.export = lambda **kwargs: print(json.dumps(kwargs))
export_saved_model._define_flags()
program.run(export_saved_model.main)
"""


@pytest.fixture(scope='module')
def model(tmp_path_factory):
  return tiny_export.make(tmp_path_factory.mktemp('model'))


def _program(*arguments):
  return programs.run('export_saved_model.py', *arguments)


def _parsed(directory, *arguments):
  script = directory / 'parse.py'
  script.write_text(_PARSED)
  run = programs.run(
    script, '--export_dir=e', '--checkpoint_path=c', *arguments
  )
  assert run.returncode == 0, run.stderr
  return json.loads(run.stdout)


def _expected(**given):
  want = dict(_DEFAULTS, export_dir='e', checkpoint_path='c', **given)
  size = want.pop('input_image_size')
  want['image_size'] = size and [int(x) for x in size.split(',')]
  return want


def test_defaults_of_the_flags(tmp_path):
  assert _parsed(tmp_path) == _expected()


def test_each_flag_reaches_the_exporter(tmp_path):
  given = {
    'model': 'retinanet',
    'config_file': 'a.yaml',
    'params_override': 'a=b',
    'override_export_dir': True,
    'use_tpu': True,
    'batch_size': -1,
    'input_type': 'tf_example',
    'input_name': 'img',
    'input_image_size': '320,480',
    'output_image_info': False,
    'output_normalized_coordinates': True,
    'cast_num_detections_to_float': True,
    'cast_detection_classes_to_float': True,
    'export_format': ['onnx', 'tflite'],
    'freeze': True,
    'check': False,
    'tflite_types': ['float16', 'int8'],
    'representative_file_pattern': 'r',
    'representative_images': 5,
    'onnx_opset': 11,
    'onnx_types': ['int8'],
  }
  assert set(given) == set(_DEFAULTS) - {'export_dir', 'checkpoint_path'}
  arguments = [
    '--{}={}'.format(k, ','.join(v) if isinstance(v, list) else v)
    for k, v in given.items()
    if k != 'check'
  ]
  assert _parsed(tmp_path, '--nocheck', *arguments) == _expected(**given)


def test_command_in_common_use(model, tmp_path):
  directory = str(tmp_path / 'export') + '/'
  run = _program(
    '--export_dir=' + directory,
    '--checkpoint_path=' + model.checkpoint,
    '--use_tpu=true',
    '--params_override=',
    '--batch_size=1',
    '--input_type=image_bytes',
    '--input_name=input',
    '--input_image_size=64,64',
    '--output_image_info=true',
    '--output_normalized_coordinates=false',
    '--cast_num_detections_to_float=true',
    '--nocheck',
  )
  assert run.returncode == 0, run.stderr
  written = contract.read(directory)
  outputs = {s.key: s.dtype for s in written.artefact('saved_model').outputs}
  assert outputs == {
    'num_detections': 'float32',
    'detection_boxes': 'float32',
    'detection_classes': 'int32',
    'detection_scores': 'float32',
    'image_info': 'float32',
  }
  # A second time it is in the way.
  again = _program(
    '--export_dir=' + directory, '--checkpoint_path=' + model.checkpoint
  )
  assert again.returncode == 1
  message = again.stderr.splitlines()[-1]
  assert message.startswith(f"Error: export_dir: '{directory}' exists")
  assert '--override_export_dir' in message
  assert 'Traceback' not in again.stderr


@pytest.mark.parametrize(
  'arguments,words',
  [
    (['--export_dir=e'], '--checkpoint_path is missing'),
    (['--checkpoint_path=c'], '--export_dir is missing'),
    (
      ['--export_dir=e', '--checkpoint_path=c', '--input_image_size=640'],
      "--input_image_size=640 has to be 'height,width'",
    ),
  ],
)
def test_bad_command_lines_end_with_one_line(arguments, words):
  run = _program(*arguments)
  assert run.returncode == 2
  assert run.stderr.startswith('Error: ' + words)
  assert len(run.stderr.splitlines()) == 1


def test_python_entry_point(model, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  written = export_saved_model.export(
    'export',
    model.checkpoint,
    'retinanet',
    batch_size=None,
    image_size=(64, 64),
    check=False,
  )
  (artefact,) = written.artefacts
  assert artefact.input_type == 'raw_image_tensor'
  assert artefact.inputs[0].shape == (None, 64, 64, 3)
  assert tf.saved_model.contains_saved_model('export')
  with pytest.raises(errors.UserError, match='exists already'):
    export_saved_model.export('export', model.checkpoint)
