"""RetinaNet's defaults, written out, and their documentation."""

import glob
import json
import os

import pytest

from configs import factory, kinds, params_dict, reference, resolver
from utils import errors

_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)

_DEFAULTS = {
  'type': 'retinanet',
  'model_dir': '',
  'use_tpu': True,
  'isolate_session_state': False,
  'enable_summary': False,
  'architecture': {
    'parser': 'retinanet_parser',
    'backbone': 'resnet',
    'multilevel_features': 'fpn',
    'min_level': 3,
    'max_level': 7,
    'num_classes': 91,
    'use_bfloat16': True,
    'space_to_depth_block_size': 1,
    'output_flat_fpn_features': False,
    'pre_parser': None,
  },
  'anchor': {
    'num_scales': 3,
    'aspect_ratios': [1.0, 2.0, 0.5],
    'anchor_size': 4.0,
  },
  'retinanet_parser': {
    'output_size': [640, 640],
    'match_threshold': 0.5,
    'unmatched_threshold': 0.5,
    'aug_rand_hflip': True,
    'aug_scale_min': 1.0,
    'aug_scale_max': 1.0,
    'aug_policy': '',
    'skip_crowd_during_training': True,
    'max_num_instances': 100,
    'regenerate_source_id': False,
  },
  'retinanet_head': {
    'anchors_per_location': None,
    'num_convs': 4,
    'num_filters': 256,
    'use_separable_conv': False,
    'use_batch_norm': True,
  },
  'retinanet_loss': {
    'focal_loss_alpha': 0.25,
    'focal_loss_gamma': 1.5,
    'huber_loss_delta': 0.1,
    'box_loss_weight': 50,
    'normalizer_momentum': 0.0,
  },
  'batch_norm_activation': {
    'batch_norm_momentum': 0.997,
    'batch_norm_epsilon': 0.0001,
    'batch_norm_trainable': True,
    'use_sync_bn': False,
    'activation': 'relu',
  },
  'dropblock': {'dropblock_keep_prob': None, 'dropblock_size': None},
  'resnet': {'resnet_depth': 50, 'init_drop_connect_rate': None},
  'spinenet': {
    'model_id': '49',
    'init_drop_connect_rate': None,
    'use_native_resize_op': False,
  },
  'spinenet_mbconv': {
    'model_id': '49',
    'se_ratio': 0.2,
    'init_drop_connect_rate': None,
    'use_native_resize_op': False,
  },
  'fpn': {
    'fpn_feat_dims': 256,
    'use_separable_conv': False,
    'use_batch_norm': True,
  },
  'nasfpn': {
    'fpn_feat_dims': 256,
    'num_repeats': 5,
    'use_separable_conv': False,
    'init_drop_connect_rate': None,
    'block_fn': 'conv',
    'activation': None,
    'use_sum_for_combination': False,
  },
  'postprocess': {
    'apply_nms': True,
    'use_batched_nms': False,
    'nms_version': 'v1',
    'max_total_size': 100,
    'nms_iou_threshold': 0.5,
    'score_threshold': 0.05,
    'pre_nms_num_boxes': 5000,
    'apply_sigmoid': True,
  },
  'predict': {'predict_batch_size': 8},
  'train': {
    'iterations_per_loop': 100,
    'train_batch_size': 64,
    'total_steps': 22500,
    'num_cores_per_replica': None,
    'input_partition_dims': None,
    'optimizer': {'type': 'momentum', 'momentum': 0.9},
    'learning_rate': {
      'type': 'step',
      'warmup_learning_rate': 0.0067,
      'warmup_steps': 500,
      'init_learning_rate': 0.08,
      'learning_rate_levels': [0.008, 0.0008],
      'learning_rate_steps': [15000, 20000],
    },
    'checkpoint': {
      'path': '',
      'prefix': '',
      'skip_variables_regex': '',
      'min_coverage': 0.5,
    },
    'frozen_variable_prefix': None,
    'regularization_variable_regex': '.*(kernel|weight):0$',
    'l2_weight_decay': 0.0001,
    'gradient_clip_norm': 0.0,
    'gradient_accumulation_steps': 1,
    'recompute_grad': False,
    'mixed_precision': False,
    'train_file_pattern': '',
    'train_dataset_type': 'tfrecord',
    'transpose_input': True,
    'space_to_depth_block_size': 1,
    'pre_parser_dataset': {'file_pattern': '', 'dataset_type': 'tfrecord'},
    'seed': None,
    'skip_broken_images': False,
    'save_checkpoint_seconds': 600,
    'keep_checkpoints': 5,
    'num_shards': 8,
  },
  'eval': {
    'type': 'box',
    'eval_batch_size': 8,
    'eval_samples': None,
    'min_eval_interval': 180,
    'eval_timeout': None,
    'num_steps_per_eval': 1000,
    'eval_file_pattern': '',
    'eval_dataset_type': 'tfrecord',
    'use_json_file': True,
    'val_json_file': '',
    'per_category_metrics': False,
    'skip_eval_loss': False,
    'suffix': '',
    'backend': 'faster_coco_eval',
    'label_map_file': '',
  },
  'platform': {
    'tpu': None,
    'tpu_zone': None,
    'gcp_project': None,
    'eval_master': None,
    'configure_tpu_version': False,
  },
  'tpu_job_name': None,
}


def test_every_default():
  params = factory.config_generator('retinanet').as_dict()
  assert params == _DEFAULTS
  # 1 == True and 50 == 50.0: the types count too.
  assert json.dumps(params, sort_keys=True) == json.dumps(
    _DEFAULTS, sort_keys=True
  )


def test_each_call_gives_fresh_parameters():
  params = factory.config_generator('retinanet')
  params.anchor.aspect_ratios.append(9.0)
  params.override({'type': 'other'})
  assert factory.config_generator('retinanet').as_dict() == _DEFAULTS


def test_unknown_model_names_the_known_ones():
  with pytest.raises(errors.ConfigError) as info:
    factory.config_generator('retinnet')
  assert "Did you mean 'retinanet'?" in str(info.value)


def test_no_default_is_without_a_kind():
  untyped = [
    path
    for path, kind in factory.config_generator('retinanet').kinds()
    if kind == 'any' or kind not in kinds.KINDS
  ]
  assert untyped == []


def test_every_default_fits_its_kind_and_can_be_given_back():
  params = factory.config_generator('retinanet')
  params.override(params.as_dict(), is_strict=True)
  assert params.as_dict() == _DEFAULTS


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
  assert 'must be {}'.format(kind) in str(info.value)


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


def test_documentation_lists_every_parameter():
  with open(os.path.join(_ROOT, 'docs', 'config.md')) as f:
    document = f.read()
  assert document == reference.with_tables(document), (
    'run: python -m configs.reference docs/config.md'
  )
  for key in factory.declared_keys('retinanet'):
    assert '| `{}` |'.format(key.path) in document
  for flag in resolver.FLAGS:
    assert '`--{}`'.format(flag) in document


@pytest.mark.parametrize(
  'path',
  sorted(glob.glob(os.path.join(_ROOT, 'configs', '**', '*.yaml'))),
  ids=os.path.basename,
)
def test_every_preset_loads(path, caplog):
  resolved = resolver.resolve(config_file=path)
  assert 'file' in resolved.sources.values()
  assert not [r for r in caplog.records if 'old name' in r.getMessage()]


def test_resnet50_preset_is_the_default():
  path = os.path.join(_ROOT, 'configs', 'yaml', 'retinanet_resnet50.yaml')
  params = factory.config_generator('retinanet')
  params_dict.override_params_dict(params, path, is_strict=True)
  assert params.as_dict() == _DEFAULTS
