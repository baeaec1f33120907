"""Exports: what they hold, and what they refuse."""

import os
import subprocess

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import yaml_loader
from serving import contract
from serving.export import export
from tests import programs, tiny_export
from utils import errors, version

_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *3 * ['..']))


@pytest.fixture(scope='module')
def model(tmp_path_factory):
  directory = tmp_path_factory.mktemp('model')
  (directory / 'labels.txt').write_text('2:bike\n\n1:car: red\n')
  return tiny_export.make(
    directory, {'eval': {'label_map_file': str(directory / 'labels.txt')}}
  )


@pytest.fixture(scope='module')
def exported(model, tmp_path_factory):
  """An export with defaults but for the size, and its contract."""
  directory = str(tmp_path_factory.mktemp('exports') / 'export')
  written = export.export(
    directory + '/', model.directory, image_size=(64, 64), check=False
  )
  return directory, written


def _listing(directory):
  return sorted(os.listdir(str(directory)))


def test_an_export_without_a_model_is_refused_by_those_who_read_it(
  model, tmp_path, writes_text
):
  tiny_export.export_text(tmp_path / 'export', model)
  assert writes_text
  with pytest.raises(errors.UserError, match='lists no model'):
    contract.read(str(tmp_path / 'export'))


def test_everything_is_in_the_directory(exported, model):
  directory, written = exported
  assert _listing(os.path.dirname(directory)) == ['export']
  assert _listing(directory) == ['assets.extra', 'saved_model.pb', 'variables']
  assets = os.path.join(directory, 'assets.extra')
  assert _listing(assets) == ['contract.json', 'label_map.txt', 'params.yaml']
  with open(os.path.join(assets, 'label_map.txt')) as source:
    assert source.read() == '1:car: red\n2:bike\n'
  with open(os.path.join(assets, 'params.yaml')) as source:
    saved = yaml_loader.load(source.read())
  assert saved['resnet'] == {'resnet_depth': 10, 'init_drop_connect_rate': None}
  assert contract.read(directory) == written


def test_contract_says_what_was_written(exported):
  _, written = exported
  assert written.model == 'retinanet'
  assert (written.image_size, written.padded_size) == ((64, 64), (64, 64))
  assert (written.batch_size, written.num_classes) == (1, 3)
  assert written.coordinates == contract.PIXELS
  assert written.mean_rgb == [0.485, 0.456, 0.406]
  assert written.stddev_rgb == [0.229, 0.224, 0.225]
  assert written.checkpoint == 'model.ckpt-7'
  assert written.step == tiny_export.STEP
  assert written.versions['tensorflow'] == '1.15.0'
  assert written.versions['numpy'] == np.__version__
  (artefact,) = written.artefacts
  assert (artefact.format, artefact.path) == ('saved_model', '.')
  assert artefact.input_type == 'raw_image_tensor'
  assert artefact.has_nms
  assert artefact.inputs == [
    contract.TensorSpec('input', 'Placeholder:0', 'float32', (1, 64, 64, 3), '')
  ]


def test_version_is_that_of_the_distribution(exported):
  with open(os.path.join(_ROOT, 'setup.py')) as source:
    assert f"version='{version.VERSION}'" in source.read()
  assert exported[1].versions['tpu-detection'] == version.VERSION


def test_weights_are_variables_under_the_checkpoints_names(exported):
  reader = tf.train.load_checkpoint(exported[0] + '/variables/variables')
  shapes = reader.get_variable_to_shape_map()
  assert shapes['resnet10/conv2d/kernel'] == [7, 7, 3, 64]
  assert shapes['resnet10/batch_normalization/moving_mean'] == [64]
  assert 'global_step' not in shapes


def test_frozen_weights_are_constants(model, exported, tmp_path):
  frozen = str(tmp_path / 'frozen')
  export.export(
    frozen, model.checkpoint, image_size=(64, 64), freeze=True, check=False
  )
  fed = np.random.RandomState(0).randn(1, 64, 64, 3)
  results = []
  for directory, num_variables in ((frozen, 0), (exported[0], 1)):
    with tf.Graph().as_default(), tf.Session() as session:
      tf.saved_model.loader.load(session, ['serve'], directory)
      assert bool(tf.global_variables()) == bool(num_variables)
      results.append(
        session.run(['DetectionBoxes:0'], {'Placeholder:0': fed})[0]
      )
  np.testing.assert_allclose(*results, atol=1e-4)


def test_tensorflow_2s_loader_takes_both(exported):
  # Eager execution cannot be turned on in a process that has a graph.
  code = (
    'import sys, tensorflow.compat.v2 as tf; tf.enable_v2_behavior();'
    'model = tf.saved_model.load(sys.argv[1]);'
    'f = model.signatures["serving_default"];'
    'out = f(input=tf.zeros([1, 64, 64, 3]));'
    'print(sorted((k, tuple(v.shape)) for k, v in out.items()))'
  )
  run = subprocess.run(
    [*programs.PYTHON, '-c', code, exported[0]],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  assert run.stdout.strip() == str(
    [
      ('detection_boxes', (1, 7, 4)),
      ('detection_classes', (1, 7)),
      ('detection_scores', (1, 7)),
      ('image_info', (1, 4, 2)),
      ('num_detections', (1,)),
    ]
  ), run.stderr


def test_existing_directory_is_replaced_on_request(
  model, tmp_path, writes_text
):
  (tmp_path / 'export').mkdir()
  (tmp_path / 'export' / 'saved_model.pb').write_text('')
  with pytest.raises(errors.UserError, match='exists already'):
    tiny_export.export_text(tmp_path / 'export', model)
  assert not writes_text
  assert _listing(tmp_path / 'export') == ['saved_model.pb']
  tiny_export.export_text(tmp_path / 'export', model, override_export_dir=True)
  assert _listing(tmp_path / 'export') == ['assets.extra', 'text']
  # What was written is an export, too.
  tiny_export.export_text(tmp_path / 'export', model, override_export_dir=True)
  assert _listing(tmp_path) == ['export']


def test_the_checkpoints_directory_is_not_replaced(model, writes_text):
  before = _listing(model.directory)
  with pytest.raises(errors.UserError, match='which would be gone'):
    tiny_export.export_text(model.directory, model, override_export_dir=True)
  assert not writes_text
  assert _listing(model.directory) == before


@pytest.mark.parametrize('content', [None, 'no label map'])
def test_label_map_that_cannot_be_read_is_left_out(
  model, tmp_path, writes_text, content, caplog
):
  path = tmp_path / 'labels.txt'
  if content:
    path.write_text(content)
  tiny_export.export_text(
    tmp_path / 'e',
    model,
    params_override={'eval': {'label_map_file': str(path)}},
  )
  assert _listing(tmp_path / 'e' / 'assets.extra') == [
    'contract.json',
    'params.yaml',
  ]
  assert str(path) in caplog.text


def test_step_of_a_checkpoint_without_global_step(model, tmp_path, writes_text):
  del writes_text
  with tf.Graph().as_default(), tf.Session() as session:
    value = tf.get_variable('a', initializer=1.0)
    session.run(value.initializer)
    saver = tf.train.Saver([value])
    for name, step in (('model.ckpt-30', 30), ('weights', None)):
      path = saver.save(session, str(tmp_path / name))
      written = export.export(
        str(tmp_path / (name + '.export')),
        path,
        config_file=os.path.join(model.directory, 'params.yaml'),
        export_format=['text'],
        check=False,
      )
      assert written.step == step


def test_config_is_looked_for_beside_the_checkpoint(
  model, tmp_path, writes_text
):
  for suffix in ('.index', '.data-00000-of-00001'):
    name = os.path.basename(model.checkpoint) + suffix
    (tmp_path / name).symlink_to(os.path.join(model.directory, name))
  alone = model._replace(
    checkpoint=str(tmp_path / os.path.basename(model.checkpoint))
  )
  with pytest.raises(errors.ConfigError) as info:
    tiny_export.export_text(tmp_path / 'e', alone)
  assert "'{}'".format(tmp_path / 'params.yaml') in str(info.value)
  assert '--config_file' in str(info.value)
  # Named, a model has defaults.
  tiny_export.export_text(tmp_path / 'e', alone, model='retinanet')
  assert writes_text[0].params.resnet.resnet_depth == 50
  tiny_export.export_text(
    tmp_path / 'f',
    alone,
    config_file=os.path.join(model.directory, 'params.yaml'),
  )
  assert writes_text[1].params.resnet.resnet_depth == 10


@pytest.mark.parametrize(
  'arguments,error,words',
  [
    (
      {'export_format': 'saved_model,onxx'},
      errors.ConfigError,
      "export_format: 'onxx' is unknown",
    ),
    (
      {'export_format': []},
      errors.ConfigError,
      'export_format: nothing is named; known are frozen_graph, onnx',
    ),
    ({'export_format': ''}, errors.ConfigError, "export_format: '' is unknown"),
    ({'batch_size': -1, 'use_tpu': True}, errors.ConfigError, 'batch_size: -1'),
    ({'freeze': True, 'use_tpu': True}, errors.ConfigError, 'freeze: true'),
    ({'batch_size': 0}, errors.ConfigError, 'batch_size: 0'),
    ({'input_type': 'bytes'}, errors.ConfigError, 'input_type'),
    ({'image_size': (65, 64)}, errors.ConfigError, '80,64'),
    (
      {'params_override': 'postprocess.nms_versoin=v2'},
      errors.ConfigError,
      "Did you mean 'postprocess.nms_version'",
    ),
    ({'model': 'shapes'}, errors.ConfigError, 'shapes'),
    (
      {'params_override': 'resnet.resnet_depth=18'},
      errors.UserError,
      'another architecture',
    ),
    ({'checkpoint_path': '/nowhere/model'}, errors.UserError, '/nowhere/model'),
    ({'config_file': '/nowhere/a.yaml'}, errors.ConfigError, 'a.yaml'),
  ],
  ids=lambda value: '',
)
def test_what_cannot_work_leaves_nothing(
  model, tmp_path, arguments, error, words
):
  settings = {
    'checkpoint_path': model.checkpoint,
    'image_size': (64, 64),
    'check': False,
  }
  with pytest.raises(error, match=words):
    export.export(str(tmp_path / 'export'), **dict(settings, **arguments))
  assert _listing(tmp_path) == []
