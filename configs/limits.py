"""Values that parameters may have, beyond their kind."""

import operator
from typing import Any, Dict, NamedTuple, Optional, Sequence

from configs import kinds as kinds_lib
from configs import params_dict
from configs.keys import Key
from utils import errors


class Limit(NamedTuple):
  """Bounds of a number, or of each number of a list.

  Attributes:
    least, above, most, below: bounds; None: none.
    length: of the list; None: any.
    min_length: of the list.
  """

  least: Optional[float] = None
  above: Optional[float] = None
  most: Optional[float] = None
  below: Optional[float] = None
  length: Optional[int] = None
  min_length: int = 0


# Of TensorFlow's int32.
_MOST_INT = 2**31 - 1
_COUNT = Limit(least=1)
_NOT_NEGATIVE = Limit(least=0)
_POSITIVE = Limit(above=0)
_SHARE = Limit(least=0, most=1)
_RATE = Limit(least=0, below=1)

LIMITS: Dict[str, Limit] = {
  'architecture.min_level': _NOT_NEGATIVE,
  'architecture.max_level': _NOT_NEGATIVE,
  # The background, and something to detect.
  'architecture.num_classes': Limit(least=2),
  'architecture.space_to_depth_block_size': _COUNT,
  'anchor.num_scales': _COUNT,
  'anchor.aspect_ratios': Limit(above=0, min_length=1),
  'anchor.anchor_size': _POSITIVE,
  'retinanet_parser.output_size': Limit(least=1, length=2),
  'retinanet_parser.match_threshold': Limit(above=0, most=1),
  'retinanet_parser.unmatched_threshold': _SHARE,
  'retinanet_parser.aug_scale_min': _POSITIVE,
  'retinanet_parser.aug_scale_max': _POSITIVE,
  'retinanet_parser.max_num_instances': _COUNT,
  'retinanet_head.num_convs': _NOT_NEGATIVE,
  'retinanet_head.num_filters': _COUNT,
  'retinanet_loss.focal_loss_alpha': _SHARE,
  'retinanet_loss.focal_loss_gamma': _NOT_NEGATIVE,
  'retinanet_loss.huber_loss_delta': _POSITIVE,
  'retinanet_loss.box_loss_weight': _NOT_NEGATIVE,
  'retinanet_loss.normalizer_momentum': _RATE,
  'batch_norm_activation.batch_norm_momentum': _SHARE,
  'batch_norm_activation.batch_norm_epsilon': _NOT_NEGATIVE,
  'dropblock.dropblock_keep_prob': Limit(above=0, most=1),
  'dropblock.dropblock_size': _COUNT,
  'resnet.init_drop_connect_rate': _RATE,
  'spinenet.init_drop_connect_rate': _RATE,
  'spinenet_mbconv.init_drop_connect_rate': _RATE,
  'spinenet_mbconv.se_ratio': _SHARE,
  'nasfpn.init_drop_connect_rate': _RATE,
  'nasfpn.fpn_feat_dims': _COUNT,
  'nasfpn.num_repeats': _COUNT,
  'fpn.fpn_feat_dims': _COUNT,
  'postprocess.max_total_size': _COUNT,
  'postprocess.nms_iou_threshold': _SHARE,
  'postprocess.pre_nms_num_boxes': _COUNT,
  'predict.predict_batch_size': _COUNT,
  'train.iterations_per_loop': _COUNT,
  'train.train_batch_size': _COUNT,
  'train.gradient_accumulation_steps': _COUNT,
  'train.total_steps': _NOT_NEGATIVE,
  'train.num_shards': _COUNT,
  'train.num_cores_per_replica': _COUNT,
  'train.optimizer.momentum': _NOT_NEGATIVE,
  'train.learning_rate.warmup_learning_rate': _NOT_NEGATIVE,
  'train.learning_rate.warmup_steps': _NOT_NEGATIVE,
  'train.learning_rate.init_learning_rate': _NOT_NEGATIVE,
  'train.learning_rate.learning_rate_levels': _NOT_NEGATIVE,
  'train.learning_rate.learning_rate_steps': _NOT_NEGATIVE,
  'train.checkpoint.min_coverage': _SHARE,
  'train.save_checkpoint_seconds': _NOT_NEGATIVE,
  'train.keep_checkpoints': _NOT_NEGATIVE,
  'train.l2_weight_decay': _NOT_NEGATIVE,
  'train.gradient_clip_norm': _NOT_NEGATIVE,
  'train.space_to_depth_block_size': _COUNT,
  'eval.eval_batch_size': _COUNT,
  'eval.eval_samples': _NOT_NEGATIVE,
  'eval.min_eval_interval': _NOT_NEGATIVE,
  'eval.eval_timeout': _NOT_NEGATIVE,
  'eval.num_steps_per_eval': _COUNT,
}

# Restrictions of `ParamsDict`.
RELATIONS = (
  'architecture.min_level <= architecture.max_level',
  'retinanet_parser.unmatched_threshold <= retinanet_parser.match_threshold',
  'retinanet_parser.aug_scale_min <= retinanet_parser.aug_scale_max',
)

# Keys whose default is not null, and for which null means something: none of
# it, all of it, or off.
NULLABLE = (
  'model_dir',
  'use_tpu',
  'retinanet_parser.aug_policy',
  'spinenet_mbconv.se_ratio',
  'train.checkpoint.path',
  'train.checkpoint.skip_variables_regex',
  'train.keep_checkpoints',
  'train.regularization_variable_regex',
  'train.train_file_pattern',
  'train.pre_parser_dataset.file_pattern',
  'eval.eval_file_pattern',
  'eval.val_json_file',
  'eval.label_map_file',
  'eval.suffix',
)

# Declared for models that use them; here they would be read by nothing.
_NO_SECOND_DATA_SET = (
  'RetinaNet has no second data set, which only copy-paste augmentation of '
  'masks uses'
)
WITHOUT_EFFECT = {
  'architecture.pre_parser': _NO_SECOND_DATA_SET,
  'train.pre_parser_dataset.file_pattern': _NO_SECOND_DATA_SET,
  'train.pre_parser_dataset.dataset_type': _NO_SECOND_DATA_SET,
}

_BOUNDS = (
  ('least', operator.ge, 'at least {}'),
  ('above', operator.gt, 'above {}'),
  ('most', operator.le, 'at most {}'),
  ('below', operator.lt, 'below {}'),
)


def check(params: params_dict.ParamsDict, keys: Sequence[Key]) -> None:
  """Raises ConfigError for the first value that cannot work.

  Args:
    params: of a model.
    keys: the model's declarations.
  """
  values = dict(params.leaves())
  for key in keys:
    value, limit = values[key.path], _limit(key)
    reason = WITHOUT_EFFECT.get(key.path)
    if reason and value is not None and value != key.default:
      raise errors.ConfigError(
        '{}: {!r} would have no effect: {}. Leave it out; its default is '
        '{!r}.'.format(key.path, value, reason, key.default)
      )
    if value is None:
      if key.default is not None and key.path not in NULLABLE:
        raise errors.ConfigError(
          '{}: null means nothing here; it has to be {}. Leave it out for the '
          'default, {!r}.'.format(key.path, _allowed(key, limit), key.default)
        )
    elif not _holds(value, limit):
      raise errors.ConfigError(
        '{}: {!r} cannot work; it has to be {}.'.format(
          key.path, value, _allowed(key, limit)
        )
      )
  known = [
    relation
    for relation in RELATIONS
    if values.keys() >= {relation.split()[0], relation.split()[-1]}
  ]
  params_dict.ParamsDict(params, known)


def _limit(key: Key) -> Limit:
  limit = LIMITS.get(key.path, Limit())
  is_int = (key.kind or kinds_lib.kind_of(key.default)).startswith('int')
  return limit._replace(most=_MOST_INT) if is_int and not limit.most else limit


def _holds(value: Any, limit: Limit) -> bool:
  numbers = value if isinstance(value, (list, tuple)) else [value]
  if isinstance(value, (list, tuple)) and (
    len(value) < limit.min_length or limit.length not in (None, len(value))
  ):
    return False
  return all(
    compare(number, getattr(limit, name))
    for name, compare, _ in _BOUNDS
    if getattr(limit, name) is not None
    for number in numbers
  )


def _allowed(key: Key, limit: Limit) -> str:
  kind = key.kind or kinds_lib.kind_of(key.default)
  bounds = ' and '.join(
    text.format(getattr(limit, name))
    for name, _, text in _BOUNDS
    if getattr(limit, name) is not None
  )
  if not kind.endswith('list'):
    return ' '.join([kinds_lib.kind_name(kind), bounds]).rstrip()
  text = kinds_lib.kind_name(kind)
  if limit.length is not None:
    text += ' with {} items'.format(limit.length)
  elif limit.min_length:
    text += ' with {} or more items'.format(limit.min_length)
  return text + (', each ' + bounds if bounds else '')
