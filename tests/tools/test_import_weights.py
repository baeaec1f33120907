"""Imported weights give here what they gave where they come from."""

import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from safetensors import numpy as safetensors_numpy

from configs import factory, params_dict
from tests import programs
from tests.tools import torch_resnet
from tools.weight_sources import (
  backbone_graph,
  batch_norm_epsilon,
  resnet_names,
)
from utils import errors

_EPSILON = 1e-4


def _network(key, value):
  params = params_dict.with_overrides(
    factory.config_generator('retinanet'), {key: value}
  )
  assert params.batch_norm_activation.batch_norm_epsilon == _EPSILON
  return backbone_graph.build(params)


def _shapes(network):
  return {v.op.name: v.shape.as_list() for v in network.variables}


def _converted(tensors, network, depth):
  return resnet_names.to_variables(
    tensors, depth, network.scope, _shapes(network), 'x.pth'
  )


def _run(network, values, images):
  """Feature maps {level: [batch, channels, height, width]} of NCHW images."""
  with network.graph.as_default(), tf.Session() as session:
    initial = {
      v.initializer.inputs[1]: values[v.op.name] for v in network.variables
    }
    session.run([v.initializer for v in network.variables], initial)
    maps = session.run(
      network.outputs, {network.images: images.transpose(0, 2, 3, 1)}
    )
  return {level: m.transpose(0, 3, 1, 2) for level, m in maps.items()}


def _close(here, there):
  return np.max(np.abs(here - there)) <= 1e-4 * np.max(np.abs(there))


@pytest.fixture(scope='module', params=[18, 50])
def imported(request):
  depth = request.param
  tensors = torch_resnet.state_dict(depth)
  network = _network('resnet.resnet_depth', depth)
  values = _converted(tensors, network, depth)
  values = batch_norm_epsilon.folded(values, resnet_names.EPSILON, _EPSILON)
  return tensors, lambda images: _run(network, values, images)


def test_maps_equal_those_of_the_source(imported):
  tensors, run = imported
  # With an odd number of rows and columns in front of the first pooling, SAME
  # pads as PyTorch does.
  images = np.random.RandomState(1).normal(size=(1, 3, 62, 54))
  there = torch_resnet.feature_maps(tensors, np.float32(images))
  here = run(np.float32(images))
  assert sorted(here) == [2, 3, 4, 5]
  for level in here:
    assert here[level].shape == there[level].shape
    assert _close(here[level], there[level]), level


def test_even_maps_are_those_of_the_image_moved_by_two_pixels(imported):
  tensors, run = imported
  images = np.random.RandomState(1).normal(size=(1, 3, 130, 98))
  images = images.astype(np.float32)
  here = run(images[:, :, :-2, :-2])
  there = torch_resnet.feature_maps(tensors, images[:, :, 2:, 2:])
  inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
  assert here[2][inside].size
  assert _close(here[2][inside], there[2][inside])
  assert not _close(here[2], there[2])


def test_epsilon_goes_into_gamma_whatever_the_variance():
  values = {
    'x/gamma': np.float32([2, 2, -1]),
    'x/beta': np.float32([1, 1, 1]),
    'x/moving_variance': np.float32([0, 1e-5, 4]),
  }
  folded = batch_norm_epsilon.folded(values, 1e-5, 1e-4)
  np.testing.assert_allclose(
    folded['x/gamma'] / np.sqrt(values['x/moving_variance'] + 1e-4),
    values['x/gamma'] / np.sqrt(values['x/moving_variance'] + 1e-5),
    rtol=1e-6,
  )
  same = batch_norm_epsilon.folded(values, 1e-5, 1e-5)
  np.testing.assert_array_equal(same['x/gamma'], values['x/gamma'])


def test_identity_shortcut_has_the_statistics_of_its_input():
  random = np.random.RandomState(0)
  tensors = {
    'bn1.weight': np.float32([0.5, -0.3, 0.0]),
    'bn1.bias': np.float32([0.2, -0.4, -1.0]),
  }
  shortcut = resnet_names._identity_shortcut(tensors)
  normalised = random.normal(size=(200000, 3))
  rectified = np.maximum(
    normalised * tensors['bn1.weight'] + tensors['bn1.bias'], 0
  )
  name = 'layer1.0.downsample.1.'
  for leaf, expected in (
    ('running_mean', rectified.mean(axis=0)),
    ('running_var', rectified.var(axis=0)),
  ):
    np.testing.assert_allclose(shortcut[name + leaf], expected, atol=2e-3)
  scale = shortcut[name + 'weight'] / np.sqrt(
    shortcut[name + 'running_var'] + resnet_names.EPSILON
  )
  np.testing.assert_allclose(scale, 1)


def _without(name):
  def change(tensors):
    del tensors[name]

  return change


def _transposed(tensors):
  name = 'layer2.0.conv1.weight'
  tensors[name] = tensors[name].transpose(2, 3, 1, 0)


def _deep_stem(tensors):
  del tensors['conv1.weight']
  tensors['conv1.0.weight'] = np.zeros([32, 3, 3, 3])


def _squeeze(tensors):
  tensors['layer1.0.se.fc1.weight'] = np.zeros([4, 64, 1, 1])


@pytest.mark.parametrize(
  'change, message',
  [
    (
      _without('layer3.1.bn2.running_var'),
      r"'x.pth' is not the ResNet-18 .*lacks layer3\.1\.bn2\.running_var, and "
      'has nothing besides',
    ),
    (
      _transposed,
      r'layer2\.0\.conv1\.weight is of shape \[3, 3, 64, 128\], but of '
      r'\[128, 64, 3, 3\] in a ResNet-18',
    ),
    (_deep_stem, r'lacks conv1\.weight, and has conv1\.0\.weight besides'),
    (_squeeze, r'lacks nothing, and has layer1\.0\.se\.fc1\.weight besides'),
  ],
)
def test_what_does_not_fit_is_refused_by_name(r18, change, message):
  network, tensors = r18
  tensors = dict(tensors)
  change(tensors)
  with pytest.raises(errors.DataError, match=message):
    _converted(tensors, network, 18)


@pytest.fixture(scope='module')
def r18():
  return _network('resnet.resnet_depth', 18), torch_resnet.state_dict(18)


def test_another_depth_is_refused_with_the_right_one(r18):
  _, tensors = r18
  with pytest.raises(
    errors.DataError, match='holds a ResNet-18, not a ResNet-'
  ):
    resnet_names.to_variables(tensors, 34, 'resnet34', {}, 'x.pth')


def test_names_of_data_parallel(r18):
  network, tensors = r18
  parallel = {'module.' + name: value for name, value in tensors.items()}
  values = _converted(parallel, network, 18)
  np.testing.assert_array_equal(
    values['resnet18/conv2d/kernel'],
    tensors['conv1.weight'].transpose(2, 3, 1, 0),
  )


def _import(*arguments):
  return programs.run('tools/import_weights.py', *arguments)


def test_values_that_are_not_finite_are_refused(tmp_path, r18):
  _, tensors = r18
  tensors = {name: np.array(value) for name, value in tensors.items()}
  tensors['layer2.0.bn1.bias'][0] = np.nan
  source = tmp_path / 'r18.safetensors'
  safetensors_numpy.save_file(tensors, str(source))
  output = tmp_path / 'out'
  process = _import(
    source, '--backbone=resnet', '--depth=18', f'--output={output}'
  )
  assert process.returncode == 1
  assert 'resnet18/batch_normalization_7/beta has values that' in process.stderr
  assert not output.exists()


def test_program_writes_a_whole_backbone(tmp_path, r18):
  _, tensors = r18
  source, output = tmp_path / 'r18.safetensors', tmp_path / 'out'
  safetensors_numpy.save_file(
    {name: np.asarray(value) for name, value in tensors.items()}, str(source)
  )
  arguments = (source, '--backbone=resnet', '--depth=18', f'--output={output}')
  process = _import(*arguments)
  assert process.returncode == 0, process.stderr
  assert 'Loaded 100.0% of the parameters.' in process.stdout
  assert process.stdout.endswith(
    f'Next: --params_override=train.checkpoint.path={output},'
    'architecture.backbone=resnet,resnet.resnet_depth=18\n'
  )
  reader = tf.train.load_checkpoint(str(output))
  np.testing.assert_array_equal(
    reader.get_tensor('resnet18/conv2d/kernel'),
    tensors['conv1.weight'].transpose(2, 3, 1, 0),
  )
  assert sorted(p.name for p in tmp_path.iterdir()) == ['out', source.name]

  again = _import(*arguments)
  assert again.returncode == 2
  assert again.stderr.endswith(
    f'Error: --output={output} is there already. Give another directory.\n'
  )


def test_epsilon_is_that_of_the_model_that_starts_from_it(tmp_path, r18):
  _, tensors = r18
  source = tmp_path / 'r18.safetensors'
  safetensors_numpy.save_file(
    {name: np.asarray(value) for name, value in tensors.items()}, str(source)
  )
  config = tmp_path / 'config.yaml'
  config.write_text('batch_norm_activation: {batch_norm_epsilon: 0.001}\n')
  # By default it is 1e-5 there, as in the source.
  model, output = '--model=classification', tmp_path / 'out'
  variance = tensors['bn1.running_var']
  for further, epsilon in (
    ([model], 1e-5),
    ([model, f'--config_file={config}'], 1e-3),
  ):
    shutil.rmtree(str(output), ignore_errors=True)
    arguments = [*further, f'--output={output}']
    run = _import(source, '--backbone=resnet', '--depth=18', *arguments)
    assert run.returncode == 0, run.stderr
    gamma = tf.train.load_checkpoint(str(output)).get_tensor(
      'resnet18/batch_normalization/gamma'
    )
    variance = tensors['bn1.running_var']
    np.testing.assert_allclose(
      gamma / np.sqrt(variance + epsilon),
      tensors['bn1.weight'] / np.sqrt(variance + 1e-5),
      rtol=1e-5,
    )


@pytest.mark.parametrize(
  'arguments, message',
  [
    (
      ('resnet50.h5', '--backbone=resnet', '--depth=18'),
      "'resnet50.h5' is of K",
    ),
    (('a.pth', '--backbone=resnet', '--depth=18'), "There is no file 'a.pth'."),
    (('b0.tar.gz', '--backbone=efficientnet-b0'), "'b0.tar.gz' is packed."),
    (
      ('a.pth', '--backbone=resnet'),
      '--depth=None with --backbone=resnet: a R',
    ),
    (
      ('a.pth', '--backbone=resnet', '--depth=51'),
      'resnet.resnet_depth: 51 is',
    ),
    (('--backbone=resnet', '--depth=18'), 'Give one source: python tools/imp'),
    (('a', '--backbone=resnets'), "architecture.backbone: 'resnets' is unk"),
  ],
)
def test_program_refuses(tmp_path, arguments, message):
  process = _import(*arguments, f'--output={tmp_path / "out"}')
  assert process.returncode != 0
  assert message in process.stderr
  assert 'Traceback' not in process.stderr
  assert list(tmp_path.iterdir()) == []
