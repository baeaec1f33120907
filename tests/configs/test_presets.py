"""The presets say what they are, and equal the files of April 2020."""

import glob
import os

import pytest

from configs import factory, presets, resolver
from tests.configs import april_2020
from utils import errors


def _resolve(config_file):
  resolved = resolver.resolve(config_file=config_file, flags={'use_tpu': True})
  return resolved.params.as_dict()


@pytest.mark.parametrize('preset', presets.find_presets(), ids=lambda p: p.name)
def test_preset_loads_without_a_warning(preset, caplog):
  resolver.resolve(config_file=preset.path, flags={'use_tpu': True})
  assert not caplog.records
  with open(preset.path) as file:
    header = file.read().split('type:')[0]
  assert 'https://arxiv.org/abs/' in header
  assert (
    '--config_file=' + preset.relative_path in header or 'make demo' in header
  )
  assert preset.parameters > 0 and preset.multiply_adds > 0
  assert preset.purpose


@pytest.mark.parametrize(
  'name,text',
  [
    ('spinenet49_retinanet_2020', april_2020.spinenet(1, 0.5)),
    ('spinenet96_retinanet_2020', april_2020.spinenet(2, 0.5, 4.0, 1024)),
    ('spinenet143_retinanet_2020', april_2020.spinenet(3, 1.0, 4.0, 1280)),
    ('retinanet_autoaugment', april_2020.AUTOAUGMENT),
    ('retinanet_nasfpn', april_2020.NASFPN),
  ],
  ids=lambda value: value.strip().split()[0],
)
def test_file_of_april_2020_is_the_preset(tmp_path, name, text):
  path = tmp_path / 'old.yaml'
  path.write_text(text)
  (preset,) = presets.find_presets([name])
  old = _resolve(str(path))
  # It does not say what its rates are for, and nothing is guessed.
  assert old['train']['learning_rate'].pop('base_batch_size') is None
  new = _resolve(preset.path)
  new['train']['learning_rate'].pop('base_batch_size')
  assert old == new


def test_presets_of_both_folders_have_names_of_their_own():
  folder = os.path.dirname(presets.__file__)
  files = glob.glob(os.path.join(folder, '*', '*.yaml'))
  assert {p.path for p in presets.find_presets()} == set(files)


def test_unknown_preset_names_the_nearest():
  with pytest.raises(errors.ConfigError, match="mean 'spinenet49_retinanet'"):
    presets.find_presets(['spinenet49_retinane'])


@pytest.mark.parametrize(
  'header',
  [
    'type: retinanet\n',
    '# A title: a use.\n# Size: large\n',
    '# A title: a use.\n'
    '# Size: 1.0 M parameters, 2.0 B multiply-adds an image.\n',
    '# A title.\n# Size: 1.0 M parameters, 2.0 B multiply-adds an image.\n'
    '# Cost: small, for a test.\n',
  ],
)
def test_preset_without_a_header(tmp_path, header, monkeypatch):
  (tmp_path / 'yaml').mkdir()
  (tmp_path / 'spinenet').mkdir()
  (tmp_path / 'yaml' / 'mine.yaml').write_text(header)
  monkeypatch.setattr(presets, '_ROOT', str(tmp_path))
  with pytest.raises(
    errors.ConfigError, match='mine.yaml.*what it is for>.*# Size:.*# Cost:'
  ):
    presets.find_presets()


_SPINENET = {
  'architecture.backbone': 'spinenet',
  'architecture.multilevel_features': 'identity',
  'train.train_batch_size': 256,
  'train.learning_rate.warmup_steps': 2000,
  'train.l2_weight_decay': 0.00004,
  'train.gradient_clip_norm': 10.0,
  'batch_norm_activation.use_sync_bn': True,
  'batch_norm_activation.activation': 'swish',
}
_LONG = {
  'train.total_steps': 231500,
  'train.learning_rate.init_learning_rate': 0.28,
  'train.learning_rate.learning_rate_levels': [0.028, 0.0028],
  'train.learning_rate.learning_rate_steps': [217610, 226870],
}
_SHORT = {
  'train.total_steps': 185200,
  'train.learning_rate.init_learning_rate': 0.3,
  'train.learning_rate.learning_rate_levels': [0.03, 0.003],
  'train.learning_rate.learning_rate_steps': [171310, 180570],
}


def _spinenet(model_id, drop, size, jitter, schedule, **extra):
  return {
    **_SPINENET,
    **schedule,
    'spinenet.model_id': model_id,
    'spinenet.init_drop_connect_rate': drop,
    'retinanet_parser.output_size': [size, size],
    'retinanet_parser.aug_scale_min': jitter[0],
    'retinanet_parser.aug_scale_max': jitter[1],
    **{key.replace('__', '.'): value for key, value in extra.items()},
  }


def _spinenet_mrcnn(model_id, size, **extra):
  long = {
    **_LONG,
    'train.total_steps': 162050,
    'train.learning_rate.learning_rate_steps': [148160, 157420],
  }
  expected = {
    **_spinenet(
      model_id, None, size, (0.5, 2.0), long, anchor__anchor_size=3.0
    ),
    'type': 'mask_rcnn',
    'architecture.min_level': 3,
    'architecture.max_level': 7,
    'batch_norm_activation.activation': 'relu',
    'batch_norm_activation.batch_norm_momentum': 0.99,
    'batch_norm_activation.batch_norm_epsilon': 0.001,
    'train.gradient_clip_norm': 0.0,
    'rpn_head.use_batch_norm': True,
    'frcnn_head.use_batch_norm': True,
    'frcnn_head.num_convs': 4,
    'frcnn_head.num_fcs': 1,
    'mrcnn_head.use_batch_norm': True,
    **{key.replace('__', '.'): value for key, value in extra.items()},
  }
  return {
    key.replace('retinanet_parser', 'maskrcnn_parser'): value
    for key, value in expected.items()
  }


_SPINENET_143 = _spinenet('143', 0.16, 1280, (0.1, 1.9), _LONG)
_SPINENET_190 = _spinenet(
  '190',
  0.2,
  1280,
  (0.1, 1.9),
  _SHORT,
  retinanet_head__num_filters=512,
  retinanet_head__num_convs=7,
)
_EPSILON = {'batch_norm_activation.batch_norm_epsilon': 0.001}


def _copy_paste(
  size, steps, backbone=None, depth=50, pastes=True, cascade=False, nasfpn=False
):
  wanted = {
    'type': 'cascade_mask_rcnn',
    'enable_summary': True,
    'train.train_batch_size': 256,
    'train.l2_weight_decay': 0.00004,
    'train.total_steps': steps,
    'train.learning_rate.warmup_learning_rate': 0.0032,
    'train.learning_rate.warmup_steps': 1000,
    'train.learning_rate.init_learning_rate': 0.32,
    'train.learning_rate.learning_rate_levels': [0.032, 0.0032, 0.00032],
    'train.learning_rate.learning_rate_steps': [
      steps * part // 1000 for part in (900, 950, 975)
    ],
    'batch_norm_activation.use_sync_bn': True,
    'maskrcnn_parser.output_size': [size, size],
    'maskrcnn_parser.aug_scale_min': 0.1,
    'maskrcnn_parser.aug_scale_max': 2.0,
    'rpn_head.num_convs': 2,
    'frcnn_head.num_convs': 4,
    **{
      f'{head}_head.use_batch_norm': True for head in ('rpn', 'frcnn', 'mrcnn')
    },
    'architecture.backbone': backbone or 'resnet',
    'resnet.resnet_depth': depth,
  }
  if pastes:
    wanted['architecture.pre_parser'] = 'extract_objects_parser'
    wanted['maskrcnn_parser.copy_paste'] = True
  if cascade:
    wanted['roi_sampling.cascade_iou_thresholds'] = [0.7, 0.8]
    wanted['roi_sampling.fg_iou_thresh'] = 0.6
    wanted['frcnn_head.class_agnostic_bbox_pred'] = True
    wanted['frcnn_head.cascade_class_ensemble'] = True
  if nasfpn:
    wanted['architecture.multilevel_features'] = 'nasfpn'
    wanted.update({'architecture.min_level': 3, 'architecture.max_level': 7})
    wanted.update({'anchor.num_scales': 3, 'anchor.anchor_size': 4.0})
    wanted['nasfpn.activation'] = 'swish'
    wanted['nasfpn.block_fn'] = 'bottleneck'
    wanted['nasfpn.init_drop_connect_rate'] = 0.2
    wanted['nasfpn.use_sum_for_combination'] = True
  return wanted


_B7 = 'efficientnet-b7'


@pytest.mark.parametrize(
  'name,expected',
  [
    ('maskrcnn_resnet50_1024', _copy_paste(1024, 270000)),
    ('maskrcnn_resnet101_1024', _copy_paste(1024, 270000, depth=101)),
    ('maskrcnn_resnet101_1280', _copy_paste(1280, 270000, depth=101)),
    *(
      (f'maskrcnn_effb7_{size}', _copy_paste(size, 270000, _B7))
      for size in (640, 1024, 1280)
    ),
    *(
      (
        f'cascade_maskrcnn_effb7_{name}1280',
        _copy_paste(1280, steps, _B7, 50, pastes, True, bool(name)),
      )
      for name, steps, pastes in (
        ('', 180000, True),
        ('nasfpn_', 180000, True),
        ('nasfpn_vanilla_', 90000, False),
      )
    ),
    (
      'spinenet49S_retinanet',
      _spinenet(
        '49S',
        0.2,
        640,
        (0.5, 2.0),
        _LONG,
        retinanet_head__num_filters=128,
        anchor__anchor_size=3.0,
      ),
    ),
    (
      'spinenet49_retinanet',
      _spinenet('49', 0.2, 640, (0.5, 2.0), _LONG, anchor__anchor_size=3.0),
    ),
    (
      'spinenet96_retinanet',
      _spinenet('96', 0.2, 1024, (0.5, 2.0), _LONG, anchor__anchor_size=3.0),
    ),
    ('spinenet143_retinanet', _SPINENET_143),
    ('spinenet190_retinanet', _SPINENET_190),
    ('spinenet143_selftraining', {**_SPINENET_143, **_EPSILON}),
    ('spinenet190_selftraining', {**_SPINENET_190, **_EPSILON}),
    (
      'spinenet49_mbconv_retinanet',
      {
        'architecture.backbone': 'spinenet_mbconv',
        'architecture.multilevel_features': 'identity',
        'spinenet_mbconv.model_id': '49',
        'retinanet_head.num_filters': 48,
        'retinanet_head.use_separable_conv': True,
        'anchor.anchor_size': 3.0,
        'batch_norm_activation.use_sync_bn': True,
        'batch_norm_activation.activation': 'swish',
        'retinanet_parser.output_size': [384, 384],
        'retinanet_parser.aug_scale_min': 0.5,
        'retinanet_parser.aug_scale_max': 2.0,
        'train.train_batch_size': 256,
        'train.total_steps': 277800,
        'train.learning_rate.init_learning_rate': 0.28,
        'train.learning_rate.learning_rate_levels': [0.028, 0.0028],
        'train.learning_rate.learning_rate_steps': [263910, 273170],
        'train.l2_weight_decay': 0.00003,
      },
    ),
    *(
      (
        f'spinenet{model_id}_classification',
        {
          'architecture.backbone': 'spinenet',
          'spinenet.model_id': model_id,
          'spinenet.init_drop_connect_rate': 0.2,
          'classification_head.aggregation': 'all',
          'batch_norm_activation.activation': 'swish',
          'train.train_batch_size': 4096,
          'train.total_steps': 62557,
          'train.learning_rate.warmup_steps': 1564,
          'train.learning_rate.init_learning_rate': 1.6,
          'train.label_smoothing': 0.1,
        },
      )
      for model_id in ('49', '96', '143', '190')
    ),
    (
      'spinenet49s_mrcnn',
      _spinenet_mrcnn(
        '49S',
        640,
        rpn_head__num_filters=128,
        frcnn_head__num_filters=128,
        frcnn_head__fc_dims=512,
        mrcnn_head__num_filters=128,
      ),
    ),
    ('spinenet49_mrcnn', _spinenet_mrcnn('49', 640)),
    ('spinenet96_mrcnn', _spinenet_mrcnn('96', 1024)),
    ('spinenet143_mrcnn', _spinenet_mrcnn('143', 1280)),
    (
      'spinenet190_mrcnn',
      _spinenet_mrcnn(
        '190',
        1536,
        spinenet__init_drop_connect_rate=0.2,
        anchor__anchor_size=5.0,
        batch_norm_activation__activation='swish',
        maskrcnn_parser__aug_scale_min=0.1,
        train__total_steps=187600,
        train__learning_rate__learning_rate_steps=[173530, 182910],
        **{
          f'{head}__{name}': value
          for head in ('rpn_head', 'frcnn_head', 'mrcnn_head')
          for name, value in (('num_convs', 7), ('num_filters', 384))
        },
      ),
    ),
  ],
)
def test_published_values(name, expected):
  (preset,) = presets.find_presets([name])
  params = resolver.resolve(
    config_file=preset.path, flags={'use_tpu': True}
  ).params
  defaults = dict(factory.config_generator(params.type).leaves())
  changed = {
    key: value for key, value in params.leaves() if value != defaults[key]
  }
  # Rates are for the batch that stands beside them.
  base = 'train.learning_rate.base_batch_size'
  assert dict(params.leaves())[base] == params.train.train_batch_size
  changed.pop(base, None)
  # A value may equal its default, and be written out all the same.
  assert changed == {
    key: value for key, value in expected.items() if value != defaults[key]
  }


@pytest.mark.parametrize(
  'name', ['spinenet49_retinanet_2020', 'retinanet_resnet50', 'small_cpu']
)
def test_nearest_preset_of_a_config_made_from_one(name):
  (preset,) = presets.find_presets([name])
  params = resolver.resolve(
    config_file=preset.path,
    params_override={'train': {'train_batch_size': 3, 'total_steps': 9}},
  ).params
  found, theirs = presets.nearest(params)
  assert (found.name, found.model) == (name, 'retinanet')
  assert theirs.train.total_steps != 9
