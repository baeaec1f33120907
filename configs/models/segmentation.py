"""Parameters of semantic segmentation."""

from typing import Any, Optional

from configs import base_config, restrictions
from configs.keys import (
  COUNT,
  COUNT_FROM_0,
  POSITIVE,
  RATE,
  SIZE,
  Key,
  Values,
  block,
  with_defaults,
)

PARSERS = ('segmentation_parser',)

EVAL_TYPES = ('customized', 'segmentation')

# Label maps, stored and served, have 8 bits a pixel.
_LABEL = Values('int', '0 to 255', lambda x: 0 <= x <= 255)
_WEIGHTS = Values(
  'list of float', 'each at least 0', lambda x: min(x, default=0) >= 0
)
# The highest level of most backbones.
_BACKBONE_LEVEL = 5

_PARSER = block(
  'segmentation_parser',
  Key('output_size', [512, 512], 'height, width (pixels)', SIZE),
  Key('resize_eval', False, 'evaluate resized images; false shrinks alone'),
  Key('aug_rand_hflip', True, 'random flip in training'),
  Key('aug_scale_min', 0.75, 'smallest scale of the jitter', POSITIVE),
  Key('aug_scale_max', 1.5, 'largest scale of the jitter', POSITIVE),
  Key('aug_policy', '', 'policies move no label maps', no_effect=True),
  Key('ignore_label', 255, 'label of pixels that do not count', _LABEL),
  chosen_by='architecture.parser',
)

_ARCHITECTURE = block(
  'architecture',
  Key('use_aspp', False, 'dilated convolutions on the highest level'),
  Key('use_pyramid_fusion', False, 'head on the sum of all levels'),
)

_HEAD = block(
  'segmentation_head',
  Key('level', 3, 'level that it takes; stride 2^level pixels', COUNT_FROM_0),
  Key('num_convs', 2, 'convolutions', COUNT_FROM_0),
  Key('upsample_factor', 1, 'of a transposed convolution; 1 = none', COUNT),
  Key('upsample_num_filters', 256, 'its channels', COUNT),
  Key('use_batch_norm', True, 'batch norm after each layer'),
)

_LOSS = block(
  'segmentation_loss',
  Key('ignore_label', 255, "must be the parser's", _LABEL),
  Key('use_groundtruth_dimension', True, 'false: labels shrink to the logits'),
  Key('class_weights', [], 'factor of each class; empty = 1', _WEIGHTS),
  Key('label_smoothing', 0.0, 'share spread over all classes', RATE),
)

KEYS = (
  *with_defaults(
    (*base_config.COMMON, *base_config.NECKS),
    {
      'architecture.num_classes': 21,
      'train.total_steps': 10000,
      'train.learning_rate.type': 'cosine',
      'train.learning_rate.init_learning_rate': 0.02,
      'train.frozen_variable_prefix': base_config.RESNET_STEM,
      'train.gradient_clip_norm': 0.5,
      'train.transpose_input': False,
      'eval.eval_samples': 1449,
      'eval.best_metric': 'miou',
    },
  ),
  *_ARCHITECTURE,
  *_PARSER,
  *_HEAD,
  *_LOSS,
)


def _labels_of_8_bits(params: Any) -> Optional[str]:
  if params.architecture.num_classes <= 256:
    return None
  return (
    f'architecture.num_classes: {params.architecture.num_classes} do not fit '
    'into label maps of 8 bits; use at most 256.'
  )


def _a_weight_for_each_class(params: Any) -> Optional[str]:
  weights = params.segmentation_loss.class_weights
  if len(weights) in (0, params.architecture.num_classes):
    return None
  return (
    f'segmentation_loss.class_weights: {weights} are {len(weights)} weights '
    f'for {params.architecture.num_classes} classes '
    '(architecture.num_classes). Give one for each, the background first, or '
    'none.'
  )


def _level_of_the_head(params: Any) -> Optional[str]:
  """Without fusion the head takes a level of the pyramid."""
  architecture, level = params.architecture, params.segmentation_head.level
  lowest, highest = architecture.min_level, architecture.max_level
  if architecture.use_pyramid_fusion or lowest <= level <= highest:
    return None
  return (
    f'segmentation_head.level: {level} is not among the levels {lowest} to '
    f'{highest} (architecture.min_level, architecture.max_level). Use one of '
    'them, or architecture.use_pyramid_fusion: true.'
  )


def _whole_strides(params: Any) -> Optional[str]:
  """Nothing pads the image, and levels are doubled to the size of finer ones.

  The levels that FPN adds above the backbone's are not.
  """
  architecture = params.architecture
  level = architecture.max_level
  if (
    architecture.multilevel_features == 'fpn'
    and not architecture.backbone.startswith('spinenet')
  ):
    level = min(level, _BACKBONE_LEVEL)
  size = params.segmentation_parser.output_size
  if not any(side % 2**level for side in size):
    return None
  return (
    f'segmentation_parser.output_size: {size} has a side that is no multiple '
    f'of {2**level}, the stride of level {level}. Use multiples, or lower '
    'architecture.max_level.'
  )


RESTRICTIONS = (
  *base_config.RESTRICTIONS,
  *base_config.detection_restrictions('segmentation_parser'),
  restrictions.comparison(
    'segmentation_loss.ignore_label == segmentation_parser.ignore_label'
  ),
  _labels_of_8_bits,
  _a_weight_for_each_class,
  _level_of_the_head,
  _whole_strides,
)
