"""Parameters of image classification."""

from typing import Any, Optional

from configs import base_config
from configs.keys import (
  COUNT_FROM_0,
  RATE,
  SIZE,
  TEXT_OR_LIST,
  Key,
  block,
  with_defaults,
)

PARSERS = ('classification_parser',)

EVAL_TYPES = ('customized', 'classification')

_PARSER = block(
  'classification_parser',
  Key('output_size', [224, 224], 'height, width (pixels)', SIZE),
  Key('aug_rand_hflip', True, 'random flip in training'),
  Key('aug_policy', '', 'v0 to v3, randaugment-N-M, a list', TEXT_OR_LIST),
  chosen_by='architecture.parser',
)

_HEAD = block(
  'classification_head',
  Key(
    'endpoints_num_filters',
    0,
    'width before the mean; 0 = as it is',
    COUNT_FROM_0,
  ),
  Key('aggregation', 'top', "top, or all: the sum of all levels' maps"),
  Key('dropout_rate', 0.0, 'share dropped before the last layer', RATE),
)

# The original has a value for it in its presets, and no use.
_NO_NECK = block(
  'architecture',
  Key(
    'multilevel_features',
    'identity',
    'a classifier has no neck',
    no_effect=True,
  ),
)

_LABEL_SMOOTHING = block(
  'train', Key('label_smoothing', 0.0, 'share spread over all classes', RATE)
)

KEYS = (
  *with_defaults(
    base_config.COMMON,
    {
      'architecture.num_classes': 1001,
      'batch_norm_activation.batch_norm_momentum': 0.9,
      'batch_norm_activation.batch_norm_epsilon': 1e-5,
      'train.iterations_per_loop': 1000,
      'train.train_batch_size': 1024,
      'train.total_steps': 112603,
      'train.learning_rate.type': 'cosine',
      'train.learning_rate.base_batch_size': 1024,
      'train.learning_rate.warmup_learning_rate': 0.0,
      'train.learning_rate.warmup_steps': 6255,
      'train.learning_rate.init_learning_rate': 0.4,
      'train.learning_rate.learning_rate_levels': [0.04, 0.004, 0.0004],
      'train.learning_rate.learning_rate_steps': [37534, 75069, 100091],
      'eval.eval_batch_size': 1024,
      'eval.eval_samples': 50000,
      'eval.best_metric': 'top_1_accuracy',
    },
  ),
  *_NO_NECK,
  *_LABEL_SMOOTHING,
  *_PARSER,
  *_HEAD,
)


def _whole_blocks(params: Any) -> Optional[str]:
  """Nothing pads the image, so its sides are whole blocks of space-to-depth."""
  block_size = params.architecture.space_to_depth_block_size
  size = params.classification_parser.output_size
  if any(side % block_size for side in size):
    return (
      f'classification_parser.output_size: {size} is no multiple of '
      f'architecture.space_to_depth_block_size, {block_size}.'
    )
  return None


RESTRICTIONS = (*base_config.RESTRICTIONS, _whole_blocks)
