"""Parameters of a detector with one level and one anchor."""

from configs import base_config
from configs.keys import block

PARSERS = ('dots_parser',)
EVAL_TYPES = ('box',)
KEYS = (
  *base_config.COMMON,
  *base_config.ANCHOR,
  *base_config.POSTPROCESS,
  *base_config.COCO_EVAL,
  *block(
    'dots_parser',
    *base_config.DETECTION_PARSER,
    chosen_by='architecture.parser',
  ),
)
RESTRICTIONS = (
  *base_config.RESTRICTIONS,
  *base_config.detection_restrictions('dots_parser'),
)
