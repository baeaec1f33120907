"""Texts with the names of April 2020."""

import copy
import logging

import pytest

from configs import factory, legacy_keys, params_dict, resolver
from tests.configs import april_2020
from utils import errors


def _warnings(caplog):
  return [
    record.getMessage()
    for record in caplog.records
    if record.levelno == logging.WARNING
  ]


def _load(text):
  params = factory.config_generator('retinanet')
  return params_dict.override_params_dict(params, text, is_strict=True)


def _changed(params):
  """Returns {dotted key: value} of all that is not a default."""
  defaults = dict(factory.config_generator('retinanet').leaves())
  return {
    path: value
    for path, value in params.leaves()
    if value != defaults[path] or type(value) is not type(defaults[path])
  }


def test_blocks_of_shapemask(caplog):
  """Levels, classes, batch norm and precision stood in its blocks, too."""
  norm = 'batch_norm: {batch_norm_epsilon: 0.001, batch_norm_momentum: 0.99}'
  params = params_dict.override_params_dict(
    factory.config_generator('shapemask'),
    'resnet: {resnet_depth: 101, activation: swish, %s}\n'
    'fpn: {min_level: 3, max_level: 6, %s}\n'
    'retinanet_head: {max_level: 6, retinanet_head_num_convs: 2, %s}\n'
    'shapemask_head: {num_classes: 7, mask_crop_size: 16, %s}\n'
    'retinanet_loss: {num_classes: 7}\n'
    'shapemask_parser: {use_bfloat16: false, mask_crop_size: 16}\n'
    % (norm, norm, norm, norm),
    is_strict=True,
  )
  assert params.architecture.num_classes == 7
  assert params.architecture.max_level == 6
  assert not params.architecture.use_bfloat16
  assert params.retinanet_head.num_convs == 2
  assert params.batch_norm_activation.batch_norm_momentum == 0.99
  assert params.batch_norm_activation.activation == 'swish'
  assert params.shapemask_head.mask_crop_size == 16
  assert len(_warnings(caplog)) == 16


@pytest.mark.parametrize(
  'repeats, alpha, model_id', [(1, 0.5, '49'), (2, 0.5, '96'), (3, 1.0, '143')]
)
def test_spinenet_file(repeats, alpha, model_id, caplog):
  text = april_2020.spinenet(repeats, alpha)
  changed = _changed(_load(text))
  expected = {
    'architecture.backbone': 'spinenet',
    'architecture.multilevel_features': 'identity',
    'train.total_steps': 185200,
    'train.train_batch_size': 256,
    'train.learning_rate.warmup_steps': 2000,
    'train.learning_rate.init_learning_rate': 0.28,
    'train.learning_rate.learning_rate_levels': [0.028, 0.0028, 0.00028],
    'train.learning_rate.learning_rate_steps': [166680, 175940, 180570],
    'train.l2_weight_decay': 4e-5,
    'train.gradient_clip_norm': 10.0,
    'spinenet.init_drop_connect_rate': 0.2,
    'batch_norm_activation.activation': 'swish',
    'batch_norm_activation.batch_norm_epsilon': 0.001,
    'batch_norm_activation.use_sync_bn': True,
    'anchor.anchor_size': 3.0,
    'retinanet_parser.aug_scale_min': 0.1,
    'retinanet_parser.aug_scale_max': 1.9,
  }
  if model_id != '49':
    expected['spinenet.model_id'] = model_id
  assert changed == expected
  old = [
    *('spinenet.min_level', 'spinenet.max_level', 'spinenet.activation'),
    *('spinenet.filter_size_scale', 'spinenet.block_repeats'),
    *('spinenet.resample_alpha', 'spinenet.endpoints_num_filters'),
    *('retinanet_head.min_level', 'retinanet_head.max_level'),
    *('retinanet_head.retinanet_head_num_filters',),
    *('retinanet_head.activation', 'anchor.min_level', 'anchor.max_level'),
    *('postprocess.min_level', 'postprocess.max_level'),
    *('retinanet_parser.use_autoaugment',),
    *(
      f'{block}.batch_norm.{name}'
      for block in ('spinenet', 'retinanet_head')
      for name in (
        'batch_norm_epsilon',
        'batch_norm_momentum',
        'batch_norm_trainable',
        'use_sync_bn',
      )
    ),
  ]
  messages = _warnings(caplog)
  assert len(messages) == len(old)
  for name in old:
    (message,) = [m for m in messages if f' {name} ' in m]
    assert 'use ' in message


def test_autoaugment_file(caplog):
  assert _changed(_load(april_2020.AUTOAUGMENT)) == {
    'train.total_steps': 277200,
    'train.learning_rate.learning_rate_steps': [220000, 258700],
    'retinanet_parser.aug_scale_min': 0.8,
    'retinanet_parser.aug_scale_max': 1.2,
    'retinanet_parser.aug_policy': 'v0',
  }
  (message,) = _warnings(caplog)
  assert 'retinanet_parser.use_autoaugment' in message
  assert 'retinanet_parser.aug_policy' in message


def test_nasfpn_file(caplog):
  assert _changed(_load(april_2020.NASFPN)) == {
    'train.total_steps': 90000,
    'train.learning_rate.learning_rate_steps': [60000, 80000],
    'architecture.multilevel_features': 'nasfpn',
    'retinanet_parser.aug_scale_min': 0.8,
    'retinanet_parser.aug_scale_max': 1.2,
  }
  assert len(_warnings(caplog)) == 2


@pytest.mark.parametrize(
  'text, expected',
  [
    (
      'retinanet_head.num_classes=5,retinanet_loss.num_classes=5',
      {'architecture.num_classes': 5},
    ),
    ('retinanet_head.num_classes=5', {'architecture.num_classes': 5}),
    (
      'retinanet_head.num_classes=5,architecture.num_classes=5',
      {'architecture.num_classes': 5},
    ),
    (
      'retinanet_parser.use_bfloat16=false',
      {'architecture.use_bfloat16': False},
    ),
    ('anchor.min_level=4,fpn.min_level=4', {'architecture.min_level': 4}),
    ('postprocess.max_level=6', {'architecture.max_level': 6}),
    (
      'retinanet_head.retinanet_head_num_convs=2,'
      'retinanet_head.retinanet_head_num_filters=64',
      {'retinanet_head.num_convs': 2, 'retinanet_head.num_filters': 64},
    ),
    ('retinanet_head.anchors_per_location=9', {}),
    ('resnet.activation=swish', {'batch_norm_activation.activation': 'swish'}),
    (
      'resnet.batch_norm.batch_norm_momentum=.9,'
      'fpn.batch_norm.batch_norm_momentum=.9,'
      'retinanet_head.batch_norm.batch_norm_trainable=false',
      {
        'batch_norm_activation.batch_norm_momentum': 0.9,
        'batch_norm_activation.batch_norm_trainable': False,
      },
    ),
    (
      'resnet.dropblock.dropblock_keep_prob=.9,'
      'resnet.dropblock.dropblock_size=7',
      {'dropblock.dropblock_keep_prob': 0.9, 'dropblock.dropblock_size': 7},
    ),
    (
      'train.space_to_depth_block_size=2',
      {'architecture.space_to_depth_block_size': 2},
    ),
    (
      'train.space_to_depth_block_size=1,'
      'architecture.space_to_depth_block_size=2',
      {'architecture.space_to_depth_block_size': 2},
    ),
    ('retinanet_parser.use_autoaugment=false', {}),
    ('retinanet_parser.autoaugment_policy_name=v2', {}),
    (
      'retinanet_parser.use_autoaugment=true,'
      'retinanet_parser.autoaugment_policy_name=v2',
      {'retinanet_parser.aug_policy': 'v2'},
    ),
    ('spinenet.block_specs=null', {}),
    (
      'spinenet.filter_size_scale=.65,spinenet.endpoints_num_filters=128',
      {'spinenet.model_id': '49S'},
    ),
    ('spinenet.block_repeats=2', {'spinenet.model_id': '96'}),
    (
      'spinenet.filter_size_scale=1.3,spinenet.block_repeats=4,'
      'spinenet.resample_alpha=1,spinenet.endpoints_num_filters=512',
      {'spinenet.model_id': '190'},
    ),
    (
      'spinenet.filter_size_scale=1.3,spinenet.block_repeats=3,'
      'spinenet.resample_alpha=1',
      {'spinenet.model_id': '143l'},
    ),
    # Blocks that are not in use do not count.
    ('spinenet.min_level=5', {}),
    ('spinenet.min_level=5,anchor.min_level=4', {'architecture.min_level': 4}),
    ('nasfpn.batch_norm.batch_norm_momentum=.5', {}),
    ('spinenet.block_repeats=9', {}),
    (
      'nasfpn.min_level=2,architecture.multilevel_features=nasfpn',
      {
        'architecture.min_level': 2,
        'architecture.multilevel_features': 'nasfpn',
      },
    ),
  ],
)
def test_old_names(text, expected):
  assert _changed(_load(text)) == expected


def test_policy_name_counts_when_the_policy_is_on_already():
  params = _load('retinanet_parser.use_autoaugment=true')
  params_dict.override_params_dict(
    params, 'retinanet_parser.autoaugment_policy_name=v3', is_strict=True
  )
  assert params.retinanet_parser.aug_policy == 'v3'


@pytest.mark.parametrize(
  'text, parts',
  [
    (
      'retinanet_head.num_classes=5,retinanet_loss.num_classes=6',
      ['architecture.num_classes', 'head.num_classes=5', 'loss.num_classes=6'],
    ),
    (
      'anchor.min_level=4,architecture.min_level=3',
      ['anchor.min_level=4', 'architecture.min_level=3'],
    ),
    (
      'resnet.batch_norm.batch_norm_epsilon=.001,'
      'fpn.batch_norm.batch_norm_epsilon=.01',
      ['batch_norm_activation.batch_norm_epsilon', '0.001', '0.01'],
    ),
    (
      'architecture.backbone=spinenet,spinenet.block_repeats=9',
      ['No SpineNet', 'block_repeats=9', '143l'],
    ),
    (
      "architecture.backbone=spinenet,spinenet.block_specs='[]'",
      ['spinenet.block_specs is not supported', 'spinenet.model_id'],
    ),
    ('retinanet_parser.use_autoaugment=1', ['use_autoaugment must be bool']),
  ],
)
def test_what_cannot_be_expressed_is_an_error(text, parts):
  with pytest.raises(errors.ConfigError) as info:
    _load(text)
  for part in parts:
    assert part in str(info.value)


@pytest.mark.parametrize(
  'text', ['resnet.batch_norm.momentum=1', 'retinanet_head.minlevel=3']
)
def test_names_of_no_vintage_are_unknown(text):
  with pytest.raises(errors.UnknownKeyError, match=text.split('=')[0]):
    _load(text)


def test_old_value_of_a_wrong_type_is_an_error_of_the_new_name():
  with pytest.raises(errors.ConfigError, match='architecture.num_classes must'):
    _load('retinanet_head.num_classes=many')


def test_present_names_give_no_warning(caplog):
  params = factory.config_generator('retinanet')
  changes = params.as_dict()
  assert legacy_keys.translate(changes, changes) != {}
  assert _changed(_load(changes)) == {}
  assert _warnings(caplog) == []


def test_input_is_not_changed():
  changes = {'retinanet_head': {'num_classes': 3}}
  before = copy.deepcopy(changes)
  _load(changes)
  assert changes == before


def test_other_models_may_use_the_old_names():
  params = params_dict.ParamsDict({'anchor': {'min_level': 3}})
  params_dict.override_params_dict(params, 'anchor.min_level=4', True)
  assert params.as_dict() == {'anchor': {'min_level': 4}}


def test_backbone_of_the_override_decides_which_blocks_of_the_file_count():
  resolved = resolver.resolve(
    config_file='spinenet.min_level=4,resnet.batch_norm.use_sync_bn=true,'
    'retinanet_head.batch_norm.batch_norm_epsilon=.001',
    params_override='architecture.backbone=spinenet,'
    'architecture.multilevel_features=identity',
  )
  assert resolved.params.architecture.min_level == 4
  assert resolved.sources['architecture.min_level'] == 'file'
  assert resolved.sources['batch_norm_activation.use_sync_bn'] == 'default'
  assert resolved.params.batch_norm_activation.batch_norm_epsilon == 0.001


def test_changed_defaults_are_mentioned_once(caplog):
  caplog.set_level(logging.INFO)
  _load('anchor.min_level=3,eval.eval_samples=7')
  (message,) = [
    record.getMessage()
    for record in caplog.records
    if record.levelno == logging.INFO
  ]
  assert 'train.frozen_variable_prefix' in message
  assert 'eval.eval_samples' not in message
