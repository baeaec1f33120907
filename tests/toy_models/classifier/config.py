"""Parameters of a classifier of mean colours."""

from configs import base_config
from configs.keys import Key

PARSERS = ('colour_parser',)
EVAL_TYPES = ('customized',)
RESTRICTIONS = ()
KEYS = (
  Key('type', 'colour', 'which model is built'),
  *base_config.RUN,
  Key('architecture.parser', 'colour_parser', 'block of the input parser'),
  Key('architecture.num_classes', 3, 'classes, with the background as 0'),
  Key('architecture.use_bfloat16', True, 'bfloat16 images and activations'),
  Key('architecture.space_to_depth_block_size', 1, 'only 1'),
  Key('colour_parser.output_size', [64, 64], 'height, width (pixels)'),
  Key('colour_parser.regenerate_source_id', False, 'ids from the images'),
  *base_config.BATCH_NORM_ACTIVATION,
  *base_config.TRAIN,
  *base_config.EVAL,
)
