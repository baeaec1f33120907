"""Parameters of ShapeMask (Kuo et al., https://arxiv.org/abs/1904.03239)."""

from typing import Any, Optional

from configs import base_config, class_splits, restrictions
from configs.keys import (
  COUNT,
  COUNT_FROM_0,
  FROM_0,
  Key,
  Values,
  block,
  with_defaults,
)
from configs.models import retinanet

PARSERS = ('shapemask_parser',)

EVAL_TYPES = ('shapemask_box_and_mask', 'box_and_mask', 'box')

_FROM_1 = Values('float', 'at least 1', lambda x: x >= 1)
_SPLIT = Values(
  'str',
  'one of ' + ', '.join(class_splits.SPLITS),
  class_splits.SPLITS.__contains__,
)
_UNUSED_LEVEL = 'features come from the level that suits a box'

# What parser and head, or parser and architecture, have in common.
_CROP_SIZE = Key('mask_crop_size', 32, 'side of a coarse mask (cells)', COUNT)
_UPSAMPLING = Key('upsample_factor', 4, 'cells of a fine mask in one', COUNT)
_OUTER_SCALE = Key('outer_box_scale', 1.25, 'outer box / box', _FROM_1)

_PARSER = block(
  'shapemask_parser',
  *with_defaults(
    base_config.INSTANCE_PARSER, {'aug_scale_min': 0.8, 'aug_scale_max': 1.2}
  ),
  *base_config.ANCHOR_MATCHING,
  Key('use_category', True, 'false: all objects are of class 1'),
  _OUTER_SCALE,
  Key('num_sampled_masks', 8, 'objects of an image that train masks', COUNT),
  _CROP_SIZE,
  _UPSAMPLING,
  Key('mask_min_level', 3, _UNUSED_LEVEL, no_effect=True),
  Key('mask_max_level', 5, _UNUSED_LEVEL, no_effect=True),
  Key('box_jitter_scale', 0.025, 'deviation, in sides of the box', FROM_0),
  Key('mask_train_class', 'all', 'classes whose masks are learned', _SPLIT),
  chosen_by='architecture.parser',
)

_HEAD = block(
  'shapemask_head',
  Key('num_downsample_channels', 128, 'channels', COUNT),
  _CROP_SIZE,
  Key('use_category_for_mask', True, 'false: one mask for all classes'),
  Key('num_convs', 4, 'convolutions of coarse and of fine', COUNT_FROM_0),
  _UPSAMPLING,
  Key('shape_prior_path', '', '.npy of tools/make_shape_priors.py; none'),
)

_LOSS = block(
  'shapemask_loss',
  Key('shape_prior_loss_weight', 0.1, 'factor of its loss', FROM_0),
  Key('coarse_mask_loss_weight', 1.0, 'factor of its loss', FROM_0),
  Key('fine_mask_loss_weight', 1.0, 'factor of its loss', FROM_0),
)


def _masks_of_a_split(params: Any) -> Optional[str]:
  """There are masks to learn and to score, and they are scored by that name."""
  for key in ('shapemask_parser.mask_train_class', 'eval.mask_eval_class'):
    name = params.lookup(key)
    split = class_splits.SPLITS[name]
    if split and 1 not in split and not params.shapemask_parser.use_category:
      return (
        f'{key}: {name!r} is without class 1, which is that of all objects '
        "(shapemask_parser.use_category: false). Use 'all'."
      )
  prefixes = ['mask_', 'novel_mask_']
  if params.eval.mask_eval_class != 'all':
    prefixes.reverse()
  used, unused = prefixes
  metric = params.eval.best_metric.lstrip('-')
  if metric.startswith(unused):
    return (
      f'eval.best_metric: with eval.mask_eval_class: '
      f'{params.eval.mask_eval_class} there is no {metric!r}. Use '
      f'{metric.replace(unused, used)!r}.'
    )
  return None


KEYS = (
  *with_defaults(
    (
      *base_config.COMMON,
      *base_config.ANCHOR,
      *base_config.NECKS,
      *base_config.POSTPROCESS,
      *base_config.COCO_EVAL,
      *retinanet.HEAD,
      *retinanet.LOSS,
    ),
    {
      'train.total_steps': 45000,
      'train.learning_rate.learning_rate_steps': [30000, 40000],
      'train.frozen_variable_prefix': r'(resnet\d+/)conv2d(|_([1-9]|10))\/',
      'train.regularization_variable_regex': None,
      'retinanet_loss.focal_loss_alpha': 0.4,
      'retinanet_loss.huber_loss_delta': 0.15,
    },
  ),
  *block('architecture', _OUTER_SCALE),
  *block(
    'eval',
    Key('mask_eval_class', 'all', 'classes whose masks are scored', _SPLIT),
  ),
  *_PARSER,
  *_HEAD,
  *_LOSS,
)

RESTRICTIONS = (
  *base_config.RESTRICTIONS,
  *base_config.detection_restrictions('shapemask_parser'),
  _masks_of_a_split,
  *map(
    restrictions.comparison,
    (
      'shapemask_parser.unmatched_threshold <= '
      'shapemask_parser.match_threshold',
      'shapemask_head.mask_crop_size == shapemask_parser.mask_crop_size',
      'shapemask_head.upsample_factor == shapemask_parser.upsample_factor',
      'shapemask_parser.outer_box_scale == architecture.outer_box_scale',
    ),
  ),
)
