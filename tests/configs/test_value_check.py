"""Values that cannot work are refused when the parameters are resolved."""

import json

import pytest

from configs import factory, resolver
from utils import errors

_KEYS = factory.declared_keys('retinanet')


def _resolve(path, value):
  for name in reversed(path.split('.')):
    value = {name: value}
  return resolver.resolve(
    params_override=json.dumps(value), flags={'use_tpu': False}
  ).params


def test_every_default_works():
  factory.check(factory.config_generator('retinanet'))


@pytest.mark.parametrize(
  'path,value,allowed',
  [
    ('architecture.num_classes', 0, 'int at least 2'),
    ('architecture.num_classes', 1, 'int at least 2'),
    ('architecture.min_level', -1, 'int at least 0'),
    ('retinanet_parser.output_size', [640], 'list of int with 2 items, each'),
    ('retinanet_parser.output_size', [640, 0], 'each at least 1'),
    ('retinanet_parser.output_size', [], 'with 2 items'),
    ('anchor.aspect_ratios', [], 'list of float with 1 or more items'),
    ('anchor.aspect_ratios', [1.0, 0.0], 'each above 0'),
    ('train.total_steps', -1, 'int at least 0'),
    ('train.train_batch_size', 0, 'int at least 1'),
    ('eval.eval_batch_size', -8, 'int at least 1'),
    ('eval.num_steps_per_eval', 0, 'int at least 1'),
    ('postprocess.nms_iou_threshold', 1.5, 'float at least 0 and at most 1'),
    ('train.learning_rate.learning_rate_steps', [5, -5], 'each at least 0'),
    ('retinanet_loss.normalizer_momentum', 1.0, 'at least 0 and below 1'),
    ('architecture.space_to_depth_block_size', 3, 'int 1 or 2'),
  ],
)
def test_value_outside_of_its_limits_is_named(path, value, allowed):
  with pytest.raises(errors.ConfigError) as info:
    _resolve(path, value)
  message = str(info.value)
  assert message.startswith(f'{path}: {value!r} ')
  assert allowed in message


def test_what_is_no_number_is_outside_of_every_limit():
  params = factory.config_generator('retinanet')
  params.train.override({'l2_weight_decay': float('nan')})
  with pytest.raises(errors.ConfigError, match='train.l2_weight_decay: nan'):
    factory.check(params)


@pytest.mark.parametrize(
  'path',
  [
    'train.total_steps',
    'architecture.backbone',
    'anchor.aspect_ratios',
    'enable_summary',
    'eval.type',
  ],
)
def test_null_without_a_meaning_is_named(path):
  with pytest.raises(errors.ConfigError) as info:
    _resolve(path, None)
  assert str(info.value).startswith(path + ': null means nothing here')


def test_null_is_accepted_where_it_means_something():
  takes_null = [k.path for k in _KEYS if k.null or k.default in (None, '')]
  for path in takes_null:
    if path == 'use_tpu':  # the flag decides
      continue
    assert _resolve(path, None).lookup(path) is None


@pytest.mark.parametrize(
  'path,value',
  [
    ('architecture.pre_parser', 'maskrcnn_parser'),
    ('train.pre_parser_dataset.file_pattern', 'records/*'),
    ('train.pre_parser_dataset.dataset_type', 'sstable'),
  ],
)
def test_second_data_set_is_refused(path, value):
  with pytest.raises(errors.ConfigError) as info:
    _resolve(path, value)
  assert str(info.value).startswith(f'{path}: {value!r} would have')
  default = next(key.default for key in _KEYS if key.path == path)
  _resolve(path, default)
