"""Values that cannot work are refused when the parameters are resolved."""

import json

import pytest

from configs import factory, limits, resolver
from utils import errors

_KEYS = factory.declared_keys('retinanet')


def _resolve(path, value):
  for name in reversed(path.split('.')):
    value = {name: value}
  return resolver.resolve(
    params_override=json.dumps(value), flags={'use_tpu': False}
  ).params


def test_limits_name_declared_keys_whose_defaults_they_allow():
  paths = {key.path for key in _KEYS}
  assert set(limits.LIMITS) <= paths
  assert set(limits.NULLABLE) <= paths
  for relation in limits.RELATIONS:
    assert set(relation.split()[::2]) <= paths
  limits.check(factory.config_generator('retinanet'), _KEYS)


def test_every_number_has_a_limit():
  unlimited = {
    key.path
    for key in _KEYS
    if (key.kind or type(key.default).__name__) in ('int', 'float')
    and key.path not in limits.LIMITS
  }
  assert unlimited == {
    'train.seed',
    'postprocess.score_threshold',  # of logits, perhaps
    'resnet.resnet_depth',  # one of a few
    'retinanet_head.anchors_per_location',  # unused
  }


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
  ],
)
def test_value_outside_of_its_limits_is_named(path, value, allowed):
  with pytest.raises(errors.ConfigError) as info:
    _resolve(path, value)
  message = str(info.value)
  assert message.startswith('{}: {!r} '.format(path, value))
  assert allowed in message


def test_what_is_no_number_is_outside_of_every_limit():
  params = factory.config_generator('retinanet')
  params.train.override({'l2_weight_decay': float('nan')})
  with pytest.raises(errors.ConfigError, match='train.l2_weight_decay: nan'):
    limits.check(params, _KEYS)


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
  meaningful = [key.path for key in _KEYS if key.default is None]
  for path in [*meaningful, *limits.NULLABLE]:
    if path == 'use_tpu':  # the flag decides
      continue
    value = _resolve(path, None)
    for name in path.split('.'):
      value = getattr(value, name)
    assert value is None


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
  assert str(info.value).startswith('{}: {!r} would have'.format(path, value))
  assert 'no second data set' in str(info.value)
  default = next(key.default for key in _KEYS if key.path == path)
  _resolve(path, default)


@pytest.mark.parametrize(
  'path,value,words',
  [
    (
      'retinanet_parser.unmatched_threshold',
      0.6,
      'retinanet_parser.unmatched_threshold is 0.6 and '
      'retinanet_parser.match_threshold is 0.5',
    ),
    (
      'architecture.min_level',
      8,
      'architecture.min_level is 8 and architecture.max_level is 7',
    ),
    (
      'retinanet_parser.aug_scale_min',
      2.0,
      'retinanet_parser.aug_scale_min <= retinanet_parser.aug_scale_max',
    ),
  ],
)
def test_values_that_contradict_each_other_are_named(path, value, words):
  with pytest.raises(errors.ConfigError) as info:
    _resolve(path, value)
  assert words in str(info.value)
