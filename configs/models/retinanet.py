"""Parameters of RetinaNet (Lin et al., https://arxiv.org/abs/1708.02002)."""

from configs import base_config, restrictions
from configs.keys import (
  COUNT,
  COUNT_FROM_0,
  FROM_0,
  POSITIVE,
  RATE,
  SHARE,
  Key,
  block,
)

IS_DEFAULT = True

PARSERS = ('retinanet_parser',)

EVAL_TYPES = ('box',)

_PARSER = block(
  'retinanet_parser',
  *base_config.DETECTION_PARSER,
  *base_config.ANCHOR_MATCHING,
  chosen_by='architecture.parser',
)

HEAD = block(
  'retinanet_head',
  Key('anchors_per_location', None, 'deprecated, follows from anchor', COUNT),
  Key('num_convs', 4, 'depth of a tower', COUNT_FROM_0),
  Key('num_filters', 256, 'channels of a tower', COUNT),
  Key('use_separable_conv', False, 'separable convolutions'),
  Key('use_batch_norm', True, 'batch norm per level'),
)

LOSS = block(
  'retinanet_loss',
  Key('focal_loss_alpha', 0.25, 'weight of positives', SHARE),
  Key('focal_loss_gamma', 1.5, 'focusing exponent', FROM_0),
  Key('huber_loss_delta', 0.1, 'knee (encoded box units)', POSITIVE),
  Key('box_loss_weight', 50, 'factor of the box loss', FROM_0),
)

_MOVING_NORMALIZER = block(
  'retinanet_loss',
  Key('normalizer_momentum', 0.0, '> 0: moving average of positives', RATE),
)

_FLAT_FEATURES = block(
  'architecture',
  Key('output_flat_fpn_features', False, 'adds the node RawFpnFeatures'),
)

KEYS = (
  *base_config.COMMON,
  *base_config.ANCHOR,
  *base_config.NECKS,
  *_FLAT_FEATURES,
  *base_config.POSTPROCESS,
  *base_config.COCO_EVAL,
  *_PARSER,
  *HEAD,
  *LOSS,
  *_MOVING_NORMALIZER,
)

RESTRICTIONS = (
  *base_config.RESTRICTIONS,
  *base_config.detection_restrictions('retinanet_parser'),
  restrictions.comparison(
    'retinanet_parser.unmatched_threshold <= retinanet_parser.match_threshold'
  ),
)
