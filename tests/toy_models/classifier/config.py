"""Parameters of a classifier of mean colours."""

from configs import base_config
from configs.keys import SIZE, Key, block

PARSERS = ('colour_parser',)
EVAL_TYPES = ('customized',)
KEYS = (
  *base_config.COMMON,
  *block(
    'colour_parser',
    Key('output_size', [64, 64], 'height, width (pixels)', SIZE),
    chosen_by='architecture.parser',
  ),
)
RESTRICTIONS = base_config.RESTRICTIONS
