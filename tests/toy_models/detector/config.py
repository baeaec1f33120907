"""Parameters of a detector with one level and one anchor."""

from configs import base_config
from configs.keys import Key

PARSERS = ('dots_parser',)
EVAL_TYPES = ('box', 'customized')
RESTRICTIONS = ()
KEYS = (
  Key('type', 'dots', 'which model is built'),
  *base_config.RUN,
  Key('architecture.parser', 'dots_parser', 'block of the input parser'),
  *base_config.ARCHITECTURE,
  *base_config.ANCHOR,
  Key('dots_parser.output_size', [64, 64], 'height, width (pixels)'),
  Key('dots_parser.aug_rand_hflip', True, 'random flip in training'),
  Key('dots_parser.aug_scale_min', 1.0, 'smallest scale of the jitter'),
  Key('dots_parser.aug_scale_max', 1.0, 'largest scale of the jitter'),
  Key('dots_parser.aug_policy', '', 'augmentation policy', 'str_or_list'),
  Key('dots_parser.skip_crowd_during_training', True, 'no crowds'),
  Key('dots_parser.max_num_instances', 100, 'objects per image, padded'),
  Key('dots_parser.regenerate_source_id', False, 'ids from the images'),
  *base_config.BATCH_NORM_ACTIVATION,
  *base_config.POSTPROCESS,
  *base_config.TRAIN,
  *base_config.EVAL,
)
