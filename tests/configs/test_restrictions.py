"""Values that contradict each other."""

import pytest

from configs import resolver
from utils import errors


def _resolve(**changes):
  return resolver.resolve(params_override=changes).params


@pytest.mark.parametrize(
  'block,name,value,words',
  [
    (
      'retinanet_parser',
      'unmatched_threshold',
      0.6,
      'retinanet_parser.unmatched_threshold is 0.6 and '
      'retinanet_parser.match_threshold is 0.5',
    ),
    (
      'architecture',
      'min_level',
      8,
      'architecture.min_level is 8 and architecture.max_level is 7',
    ),
    (
      'retinanet_parser',
      'aug_scale_min',
      2.0,
      'retinanet_parser.aug_scale_min <= retinanet_parser.aug_scale_max',
    ),
    (
      'architecture',
      'parser',
      'other_parser',
      "architecture.parser: 'other_parser' is unknown; retinanet has "
      'retinanet_parser',
    ),
  ],
)
def test_values_that_contradict_each_other_are_named(block, name, value, words):
  with pytest.raises(errors.ConfigError) as info:
    _resolve(**{block: {name: value}})
  assert words in str(info.value)
