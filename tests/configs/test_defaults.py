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


@pytest.mark.parametrize('model', factory.model_names())
def test_every_default_fits_its_kind_and_can_be_given_back(model):
  params = factory.config_generator(model)
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


def test_published_defaults_of_classification():
  leaves = dict(factory.config_generator('classification').leaves())
  published = {
    'architecture.parser': 'classification_parser',
    'architecture.backbone': 'resnet',
    'architecture.num_classes': 1001,
    'train.iterations_per_loop': 1000,
    'train.train_batch_size': 1024,
    'train.total_steps': 112603,
    'train.optimizer.momentum': 0.9,
    'train.learning_rate.type': 'cosine',
    'train.learning_rate.warmup_learning_rate': 0.0,
    'train.learning_rate.warmup_steps': 6255,
    'train.learning_rate.init_learning_rate': 0.4,
    'train.learning_rate.learning_rate_levels': [0.04, 0.004, 0.0004],
    'train.learning_rate.learning_rate_steps': [37534, 75069, 100091],
    'train.checkpoint.path': '',
    'train.frozen_variable_prefix': None,
    'train.l2_weight_decay': 0.0001,
    'train.gradient_clip_norm': 0.0,
    'train.label_smoothing': 0.0,
    'train.transpose_input': True,
    'eval.eval_batch_size': 1024,
    'eval.eval_samples': 50000,
    'eval.num_steps_per_eval': 1000,
    'eval.type': 'customized',
    'classification_parser.output_size': [224, 224],
    'classification_parser.aug_rand_hflip': True,
    'batch_norm_activation.batch_norm_momentum': 0.9,
    'batch_norm_activation.batch_norm_epsilon': 1e-5,
    'batch_norm_activation.batch_norm_trainable': True,
    'batch_norm_activation.use_sync_bn': False,
    'batch_norm_activation.activation': 'relu',
    'classification_head.endpoints_num_filters': 0,
    'classification_head.aggregation': 'top',
    'classification_head.dropout_rate': 0.0,
  }
  assert {key: leaves[key] for key in published} == published
  blocks = {key.split('.')[0] for key in leaves}
  assert not blocks & {'anchor', 'fpn', 'nasfpn', 'postprocess'}
  assert 'eval.val_json_file' not in leaves


def test_what_classification_refuses():
  for override, message in (
    ('train.label_smoothing=1.0', 'at least 0 and below 1'),
    ('architecture.multilevel_features=fpn', 'a classifier has no neck'),
    (
      'architecture.space_to_depth_block_size=2,'
      'classification_parser.output_size=[224, 225]',
      r'output_size: \[224, 225\] is no multiple of .*block_size, 2',
    ),
  ):
    with pytest.raises(errors.ConfigError, match=message):
      resolver.resolve('classification', params_override=override)
