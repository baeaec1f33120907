"""New parts and new models work from files of their own."""

import json
import os
import re
import shutil

import pytest
import requests

from tests import programs, record_factory, tiny_run
from tests.serving.http import serving_run

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CODE = (
  *('configs', 'dataloader', 'evaluation', 'executor', 'modeling', 'ops'),
  *('serving', 'tools', 'utils'),
)
_PROGRAMS = ('main.py', 'export_saved_model.py', 'inference.py')
_BLOCK = re.compile(r'^```(?:python|yaml)\n# (\S+)\n(.*?)^```$', re.M | re.S)
_SMALL = {'train_batch_size': 2, 'total_steps': 3}


class _Project:
  """A copy of the code, with further files."""

  def __init__(self, directory):
    self.directory = directory
    for folder in _CODE:
      shutil.copytree(
        os.path.join(_ROOT, folder),
        str(directory / folder),
        ignore=shutil.ignore_patterns('__pycache__'),
      )
    for program in _PROGRAMS:
      shutil.copy(os.path.join(_ROOT, program), str(directory))

  def add_model(self, folder, name):
    toy = os.path.join(_ROOT, 'tests', 'toy_models', folder)
    for file_name, package in (
      ('config.py', 'configs/models'),
      ('parser.py', 'dataloader/parsers'),
      ('model.py', 'modeling/models'),
    ):
      target = self.directory / package / (name + '.py')
      assert not target.exists()
      shutil.copy(os.path.join(toy, file_name), str(target))

  def run(self, program, *arguments):
    """Runs a program; returns what it prints."""
    run = programs.run(program, *arguments, cwd=self.directory)
    text = run.stdout + run.stderr
    assert run.returncode == 0, text
    return text

  def serve(self, export_dir, directory):
    return serving_run.serving(
      str(export_dir),
      directory,
      '--model_name=toy',
      root=str(self.directory),
    )


@pytest.fixture()
def project(tmp_path):
  return _Project(tmp_path / 'project')


@pytest.mark.slow
def test_example_of_the_documentation_trains(project, tmp_path):
  with open(os.path.join(_ROOT, 'docs', 'extending.md')) as file:
    blocks = dict(_BLOCK.findall(file.read()))
  assert len(blocks) == 4
  for path, text in blocks.items():
    assert not (project.directory / path).exists()
    (project.directory / path).write_text(text)
  listing = project.run('main.py', '--list')
  for name in ('plain', 'lateral', 'cells'):
    assert name in listing
  records = tiny_run.write_data(tmp_path)
  project.run(
    'main.py',
    '--mode=train',
    '--model_dir=' + str(tmp_path / 'parts'),
    '--config_file=parts.yaml',
    '--params_override=train.train_file_pattern=' + records,
  )
  assert (tmp_path / 'parts' / 'model.ckpt-2.index').exists()


@pytest.mark.slow
def test_detector_of_three_files(project, tmp_path):
  project.add_model('detector', 'dots')
  records = tiny_run.write_data(tmp_path)
  model_dir, export_dir = tmp_path / 'model', tmp_path / 'export'
  override = {
    'architecture': {'min_level': 3, 'max_level': 3, 'num_classes': 3},
    'anchor': {'num_scales': 1, 'aspect_ratios': [1.0]},
    'postprocess': {'max_total_size': 10},
    'train': dict(_SMALL, train_file_pattern=records),
    'eval': {'eval_file_pattern': records, 'eval_batch_size': 3},
  }
  project.run(
    'main.py',
    '--model=dots',
    '--mode=train_and_eval',
    '--model_dir=' + str(model_dir),
    '--params_override=' + json.dumps(override),
  )
  metrics = json.loads((model_dir / 'eval' / 'metrics.json').read_text())
  assert metrics['step'] == 3
  assert {'AP', 'AP50', 'ARmax100', 'class_error'} <= set(metrics)
  project.run(
    'export_saved_model.py',
    '--model=dots',
    '--checkpoint_path=' + str(model_dir / 'model.ckpt-3'),
    '--export_dir=' + str(export_dir),
    '--export_format=saved_model,onnx',
    '--input_type=image_tensor',
    '--input_image_size=64,64',
  )
  picture = tmp_path / 'picture.png'
  picture.write_bytes(record_factory.encode(record_factory.pixels()))
  output = tmp_path / 'output'
  # The server takes the saved_model.
  project.run(
    'inference.py',
    '--saved_model_dir=' + str(export_dir),
    '--format=onnx',
    str(picture),
    '--output_dir=' + str(output),
    '--output_json=' + str(output / 'found.json'),
    '--min_score_threshold=0',
  )
  assert (output / 'picture.jpg').exists()
  assert json.loads((output / 'found.json').read_text())
  with project.serve(export_dir, tmp_path) as server:
    answer = requests.post(
      server.url + '/detect', picture.read_bytes(), timeout=60
    )
  assert answer.json()['detections'], answer.text


@pytest.mark.slow
def test_classifier_of_three_files(project, tmp_path):
  project.add_model('classifier', 'colour')
  records = tiny_run.write_data(tmp_path)
  model_dir, export_dir = tmp_path / 'model', tmp_path / 'export'
  override = {
    'train': dict(_SMALL, train_file_pattern=records, transpose_input=False),
    'eval': {
      'type': 'customized',
      'eval_file_pattern': records,
      'eval_batch_size': 3,
    },
  }
  project.run(
    'main.py',
    '--model=colour',
    '--mode=train_and_eval',
    '--model_dir=' + str(model_dir),
    '--params_override=' + json.dumps(override),
  )
  metrics = json.loads((model_dir / 'eval' / 'metrics.json').read_text())
  # Of seven images.
  assert round(7 * metrics['top_1_accuracy'], 3) in range(8)
  project.run(
    'export_saved_model.py',
    '--model=colour',
    '--checkpoint_path=' + str(model_dir / 'model.ckpt-3'),
    '--export_dir=' + str(export_dir),
    '--export_format=saved_model,onnx',
    '--input_type=image_tensor',
    '--input_image_size=64,64',
  )
  image = record_factory.pixels(64, 64)
  with project.serve(export_dir, tmp_path) as server:
    answer = requests.post(
      server.url + '/v1/models/toy:predict',
      json={'instances': [image.tolist()]},
      timeout=60,
    )
  (prediction,) = answer.json()['predictions']
  probabilities = prediction['class_probabilities']
  assert len(probabilities) == 91
  assert sum(probabilities) == pytest.approx(1.0, abs=1e-4)
