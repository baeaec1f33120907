"""Exports: what they hold, what they refuse, and what a kill leaves."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import yaml_loader
from executor.exporting import contract, export, formats
from tests import tiny_export
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


@pytest.fixture()
def writes_text(monkeypatch):
  """A format that takes no time; the requests that it got."""
  requests = []

  def write(request, directory):
    requests.append(request)
    with open(os.path.join(directory, 'text'), 'w') as target:
      target.write(str(request))
    return []

  for name in ('text', *formats.FORMATS.names()):
    monkeypatch.setitem(formats.FORMATS._entries, name, write)
  return requests


def _export_text(directory, trained, export_format='text', **kwargs):
  return export.export(
    str(directory),
    trained.checkpoint,
    export_format=export_format,
    check=False,
    **kwargs,
  )


def test_an_export_without_a_model_is_refused_by_those_who_read_it(
  model, tmp_path, writes_text
):
  _export_text(tmp_path / 'export', model)
  assert writes_text
  with pytest.raises(errors.UserError, match='lists no model'):
    contract.read(str(tmp_path / 'export'))


def _listing(directory):
  return sorted(os.listdir(str(directory)))


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
    contract.TensorSpec('input', 'Placeholder:0', 'float32', (1, 64, 64, 3))
  ]


def test_version_is_that_of_the_distribution(exported):
  with open(os.path.join(_ROOT, 'setup.py')) as source:
    assert "version='{}'".format(version.VERSION) in source.read()
  assert exported[1].versions['tpu-detection'] == version.VERSION


def test_weights_are_variables_under_the_checkpoints_names(exported):
  reader = tf.train.load_checkpoint(exported[0] + '/variables/variables')
  shapes = reader.get_variable_to_shape_map()
  assert shapes['resnet10/conv2d/kernel'] == [7, 7, 3, 64]
  assert shapes['resnet10/conv2d/bias'] == [64]
  assert 'resnet10/batch_normalization/gamma' not in shapes
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
    [sys.executable, '-c', code, exported[0]],
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


@pytest.mark.parametrize(
  'formats_given, options, told',
  [
    ('onnx', {'use_tpu': True}, 'use_tpu: True .* export_format: saved_model'),
    ('tflite', {'freeze': True}, 'freeze: True .*saved_model'),
    ('saved_model,onnx', {'tflite_types': ['int8']}, 'tflite_types: int8 .*te'),
    ('onnx', {'tflite_postprocess': True}, 'tflite_postprocess: True'),
    ('tflite', {'onnx_opset': 14}, 'onnx_opset: 14 .*export_format: onnx'),
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
    _export_text(tmp_path / 'e', model, export_format=formats_given, **options)
  assert not writes_text


def test_options_at_their_defaults_may_be_given_to_any_format(
  model, tmp_path, writes_text
):
  _export_text(
    tmp_path / 'e',
    model,
    export_format='frozen_graph',
    use_tpu=False,
    freeze=False,
    tflite_types=['float32'],
    tflite_postprocess=False,
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
  _export_text(
    tmp_path / 'export',
    model,
    batch_size=batch_size,
    params_override=params_override,
  )
  (request,) = writes_text
  assert request.params.postprocess.nms_version == version
  with pytest.raises(ValueError, match='locked'):
    request.params.override({'type': 'retinanet'})


def test_options_reach_the_request(model, tmp_path, writes_text):
  written = _export_text(
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
    tflite_postprocess=True,
    representative_file_pattern='a',
    representative_images=3,
    onnx_opset=11,
    export_format='saved_model,onnx,tflite',
  )
  request, *others = writes_text
  # All formats get the same one.
  assert others == [request] * 2
  assert request.params.postprocess.nms_version == 'batched'
  assert request.params.resnet.resnet_depth == 10
  assert request._replace(params=None) == (
    None,
    model.checkpoint,
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
    True,
    'a',
    3,
    11,
  )
  assert written.coordinates == contract.NORMALIZED
  assert (written.batch_size, written.padded_size) == (None, (48, 80))


def test_any_batch_keeps_the_nms_version(model, tmp_path, writes_text):
  _export_text(
    tmp_path / 'e',
    model,
    batch_size=None,
    params_override='postprocess.nms_version=v2',
  )
  assert writes_text[0].params.postprocess.nms_version == 'v2'


def test_without_a_tpu_there_is_no_bfloat16(model, tmp_path, writes_text):
  _export_text(
    tmp_path / 'e', model, params_override='architecture.use_bfloat16=true'
  )
  assert not writes_text[0].params.architecture.use_bfloat16
  _export_text(
    tmp_path / 'f',
    model,
    params_override='architecture.use_bfloat16=true',
    use_tpu=True,
    export_format='saved_model',
  )
  assert writes_text[1].params.architecture.use_bfloat16
  assert writes_text[1].use_tpu


def test_existing_directory_is_replaced_on_request(
  model, tmp_path, writes_text
):
  (tmp_path / 'export').mkdir()
  (tmp_path / 'export' / 'saved_model.pb').write_text('')
  with pytest.raises(errors.UserError, match='exists already'):
    _export_text(tmp_path / 'export', model)
  assert not writes_text
  assert _listing(tmp_path / 'export') == ['saved_model.pb']
  _export_text(tmp_path / 'export', model, override_export_dir=True)
  assert _listing(tmp_path / 'export') == ['assets.extra', 'text']
  # What was written is an export, too.
  _export_text(tmp_path / 'export', model, override_export_dir=True)
  assert _listing(tmp_path) == ['export']


def test_the_checkpoints_directory_is_not_replaced(model, writes_text):
  before = _listing(model.directory)
  with pytest.raises(errors.UserError, match='which would be gone'):
    _export_text(model.directory, model, override_export_dir=True)
  assert not writes_text
  assert _listing(model.directory) == before


@pytest.mark.parametrize('content', [None, 'no label map'])
def test_label_map_that_cannot_be_read_is_left_out(
  model, tmp_path, writes_text, content, caplog
):
  path = tmp_path / 'labels.txt'
  if content:
    path.write_text(content)
  _export_text(
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
    _export_text(tmp_path / 'e', alone)
  assert "'{}'".format(tmp_path / 'params.yaml') in str(info.value)
  assert '--config_file' in str(info.value)
  # Named, a model has defaults.
  _export_text(tmp_path / 'e', alone, model='retinanet')
  assert writes_text[0].params.resnet.resnet_depth == 50
  _export_text(
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
    ({'batch_size': 0}, errors.ConfigError, 'batch_size: 0'),
    ({'input_type': 'bytes'}, errors.ConfigError, 'input_type'),
    ({'image_size': (65, 64)}, errors.ConfigError, '80,64'),
    (
      {'params_override': 'postprocess.nms_versoin=v2'},
      errors.ConfigError,
      "Did you mean 'postprocess.nms_version'",
    ),
    ({'model': 'mask_rcnn'}, errors.ConfigError, 'mask_rcnn'),
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


_KILLED = """
import os, signal, sys
from executor.exporting import export
{module}
done = module.{function}
def die(*args, **kwargs):
  result = done(*args, **kwargs)
  if {condition}:
    os.kill(os.getpid(), signal.SIGKILL)
  return result
module.{function} = die
export.export(
  sys.argv[1], sys.argv[2], image_size=(64, 64), check=False,
  override_export_dir=True,
)
"""


def _run_until_killed(target, model, **kwargs):
  target.mkdir()
  (target / 'saved_model.pb').write_text('whole')
  run = subprocess.run(
    [sys.executable, '-c', _KILLED.format(**kwargs)]
    + [str(target), model.checkpoint],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    universal_newlines=True,
  )
  assert run.returncode == -signal.SIGKILL, run.stderr


def test_kill_before_the_end_leaves_the_old_one(model, tmp_path):
  target = tmp_path / 'export'
  _run_until_killed(
    target,
    model,
    module='module = export',
    function='_write_assets',
    condition='True',
  )
  assert _listing(target) == ['saved_model.pb']
  # What the killed process left is hidden.
  assert [n for n in _listing(tmp_path) if n[0] != '.'] == ['export']


def test_kill_between_the_renames_leaves_both_whole_and_hidden(model, tmp_path):
  target = tmp_path / 'export'
  _run_until_killed(
    target,
    model,
    module='import os as module',
    function='rename',
    condition='args[0] == sys.argv[1]',
  )
  assert not [n for n in _listing(tmp_path) if n[0] != '.']
  (old,) = tmp_path.glob('.export.old.*/export')
  assert _listing(old) == ['saved_model.pb']
  (new,) = [p for p in tmp_path.glob('.export.*') if p != old.parent]
  assert _listing(new) == ['assets.extra', 'saved_model.pb', 'variables']
