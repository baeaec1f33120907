"""Tables of what a config can choose from."""

import re
from typing import Iterable, List, Tuple

import rich.console
import rich.table

from configs import presets
from dataloader import autoaugment
from modeling import factory
from modeling.architecture import registries
from modeling.architecture.backbones import (
  resnet,
  spinenet,
  spinenet_mbconv,
)

_HEADS = ('retinanet_head',)
_NUMBER = re.compile(r'\d+')


def _by_number(names: Iterable[str]) -> List[str]:
  """Sorts '143' after '96', '49S' after '49'."""
  return sorted(names, key=lambda name: (int(_NUMBER.match(name)[0]), name))


def _parts() -> List[Tuple[str, str]]:
  """(config key, its values), as far as they are registered."""
  rows = [
    ('type', factory.MODELS.names()),
    ('architecture.backbone', registries.BACKBONES.names()),
    ('resnet.resnet_depth', sorted(resnet.SPECS)),
    ('spinenet.model_id', _by_number(spinenet.VARIANTS.names())),
    (
      'spinenet_mbconv.model_id',
      _by_number(spinenet_mbconv.VARIANTS.names()),
    ),
    ('architecture.multilevel_features', registries.NECKS.names()),
    ('head', _HEADS),
    (
      'retinanet_parser.aug_policy',
      [*autoaugment.POLICIES.names(), 'randaugment-N-M', 'a list'],
    ),
  ]
  return [(key, ', '.join(str(v) for v in values)) for key, values in rows]


def print_choices(console: rich.console.Console) -> None:
  """Prints the parts of models, and the presets with their sizes."""
  parts = rich.table.Table(title='Parts')
  parts.add_column('config key')
  parts.add_column('values')
  for row in _parts():
    parts.add_row(*row)
  console.print(parts)

  table = rich.table.Table(title='Presets (--config_file)')
  # Paths are there to be copied: never cut short.
  table.add_column('file', overflow='fold', min_width=50)
  table.add_column('M params', justify='right')
  table.add_column('B mult-adds', justify='right')
  for preset in presets.find_presets():
    table.add_row(
      '{}\n  cost: {}; {}'.format(
        preset.relative_path, preset.cost, preset.title
      ),
      '{:.1f}'.format(preset.parameters),
      '{:.1f}'.format(preset.multiply_adds),
    )
  console.print(table)
