"""The defaults, as the documentation shows them."""

import json
import os

import pytest

from configs import factory, params_dict, reference, resolver, yaml_loader
from utils import errors

_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)

with open(os.path.join(_ROOT, 'docs', 'config.md')) as _file:
  _DOCUMENT = _file.read()


def test_the_documentation_has_every_default():
  assert reference.with_parameters(_DOCUMENT) == _DOCUMENT, (
    'run: python -m configs.reference docs/config.md'
  )
  shown = _DOCUMENT.split('<!-- parameters of retinanet -->')[1].split('```')[1]
  defaults = factory.config_generator('retinanet').as_dict()
  read = yaml_loader.load(shown.partition('\n')[2])
  # 1 == True and 50 == 50.0: the types count too.
  assert json.dumps(read) == json.dumps(defaults, sort_keys=True)
  for flag in resolver.FLAGS:
    assert f'`--{flag}`' in _DOCUMENT


def test_each_call_gives_fresh_parameters():
  params = factory.config_generator('retinanet')
  params.anchor.aspect_ratios.append(9.0)
  fresh = factory.config_generator('retinanet')
  assert fresh.anchor.aspect_ratios == [1.0, 2.0, 0.5]


def test_unknown_model_names_the_known_ones():
  with pytest.raises(errors.ConfigError) as info:
    factory.config_generator('retinnet')
  assert "Did you mean 'retinanet'?" in str(info.value)


def test_every_default_fits_its_kind_and_can_be_given_back():
  params = factory.config_generator('retinanet')
  defaults = params.as_dict()
  assert 'any' not in dict(params.kinds()).values()
  params.override(defaults, is_strict=True)
  assert params.as_dict() == defaults


@pytest.mark.parametrize(
  'text, path, kind',
  [
    ('eval.eval_samples=many', 'eval.eval_samples', 'int'),
    ('eval.eval_timeout=[1]', 'eval.eval_timeout', 'int'),
    ('train.seed=x', 'train.seed', 'int'),
    ('train.frozen_variable_prefix=3', 'train.frozen_variable_prefix', 'str'),
    ('resnet.init_drop_connect_rate=x', 'init_drop_connect_rate', 'float'),
    ('dropblock.dropblock_size=.5', 'dropblock.dropblock_size', 'int'),
    ('train.input_partition_dims=2', 'train.input_partition_dims', 'list'),
    ('nasfpn.activation=1', 'nasfpn.activation', 'str'),
    ('spinenet.model_id=49', "spinenet.model_id='49'", 'str'),
  ],
)
def test_null_defaults_and_names_have_kinds(text, path, kind):
  params = factory.config_generator('retinanet')
  with pytest.raises(errors.ConfigError) as info:
    params_dict.override_params_dict(params, text, is_strict=True)
  assert path in str(info.value)
  assert f'must be {kind}' in str(info.value)


def test_values_that_null_defaults_take():
  params = factory.config_generator('retinanet')
  params_dict.override_params_dict(
    params,
    'eval.eval_samples=500,resnet.init_drop_connect_rate=.2,train.seed=0,'
    "spinenet.model_id='49S',retinanet_loss.box_loss_weight=12.5,"
    'train.gradient_clip_norm=10,train.input_partition_dims=[None, 2]',
    is_strict=True,
  )
  assert params.eval.eval_samples == 500
  assert params.spinenet.model_id == '49S'
  assert params.retinanet_loss.box_loss_weight == 12.5
  assert params.train.input_partition_dims == ['None', 2]


def test_resnet50_preset_is_the_default():
  path = os.path.join(_ROOT, 'configs', 'yaml', 'retinanet_resnet50.yaml')
  params = factory.config_generator('retinanet')
  params_dict.override_params_dict(params, path, is_strict=True)
  assert params.as_dict() == factory.config_generator('retinanet').as_dict()
