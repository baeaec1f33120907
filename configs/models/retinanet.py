"""Parameters of RetinaNet (Lin et al., https://arxiv.org/abs/1708.02002)."""

from configs import base_config
from configs.keys import Key

_PARSER = (
  Key('retinanet_parser.output_size', [640, 640], 'height, width (pixels)'),
  Key('retinanet_parser.match_threshold', 0.5, 'IoU from which an anchor fits'),
  Key(
    'retinanet_parser.unmatched_threshold',
    0.5,
    'IoU below which an anchor is background',
  ),
  Key('retinanet_parser.aug_rand_hflip', True, 'random flip in training'),
  Key('retinanet_parser.aug_scale_min', 1.0, 'smallest scale of the jitter'),
  Key('retinanet_parser.aug_scale_max', 1.0, 'largest scale of the jitter'),
  Key(
    'retinanet_parser.aug_policy',
    '',
    'v0, v1, v2, v3, randaugment-N-M or sub-policies; empty = none',
    'str_or_list',
  ),
  Key(
    'retinanet_parser.skip_crowd_during_training',
    True,
    'leave crowd boxes out in training',
  ),
  Key('retinanet_parser.max_num_instances', 100, 'objects per image, padded'),
  Key(
    'retinanet_parser.regenerate_source_id',
    False,
    'make the source id from the bytes of the image',
  ),
)

_HEAD = (
  Key(
    'retinanet_head.anchors_per_location',
    None,
    'deprecated: follows from anchor.num_scales and anchor.aspect_ratios',
    'int',
  ),
  Key('retinanet_head.num_convs', 4, 'depth of a tower'),
  Key('retinanet_head.num_filters', 256, 'channels of a tower'),
  Key('retinanet_head.use_separable_conv', False, 'separable convolutions'),
  Key('retinanet_head.use_batch_norm', True, 'batch norm per level'),
)

_LOSS = (
  Key('retinanet_loss.focal_loss_alpha', 0.25, 'weight of positives'),
  Key('retinanet_loss.focal_loss_gamma', 1.5, 'focusing exponent'),
  Key('retinanet_loss.huber_loss_delta', 0.1, 'knee (encoded box units)'),
  Key('retinanet_loss.box_loss_weight', 50, 'factor of the box loss', 'float'),
  Key(
    'retinanet_loss.normalizer_momentum',
    0.0,
    'above 0: normalise by a moving average of the positives',
  ),
)

KEYS = (
  Key('type', 'retinanet', 'which model is built'),
  *base_config.RUN,
  Key('architecture.parser', 'retinanet_parser', 'block of the input parser'),
  *base_config.ARCHITECTURE,
  *base_config.ANCHOR,
  *_PARSER,
  *_HEAD,
  *_LOSS,
  *base_config.BATCH_NORM_ACTIVATION,
  *base_config.BACKBONES,
  *base_config.NECKS,
  *base_config.POSTPROCESS,
  *base_config.TRAIN,
  *base_config.EVAL,
)
