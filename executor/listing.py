"""Tables of what a config can choose from."""

import fnmatch
from typing import Iterator, Tuple

import rich.console
import rich.table

from configs import factory, presets
from executor import runner  # noqa: F401, registers all that a run has
from utils import registry


def _choices() -> Iterator[Tuple[str, str]]:
  """Yields (config key, its values) of all keys that have a registry."""
  paths = {
    key.path: None
    for model in factory.model_names()
    for key in factory.declared_keys(model)
  }
  for path in paths:
    for known in registry.REGISTRIES:
      if fnmatch.fnmatchcase(path, known.key):
        yield path, known.choices()


def print_choices(console: rich.console.Console) -> None:
  """Prints the parts of models, and the presets with their sizes."""
  parts = rich.table.Table(title='Parts')
  parts.add_column('config key')
  parts.add_column('values')
  for row in _choices():
    parts.add_row(*row)
  console.print(parts)

  table = rich.table.Table(title='Presets (--config_file)')
  # Paths are there to be copied: never cut short.
  table.add_column('file', overflow='fold', min_width=50)
  table.add_column('M params', justify='right')
  table.add_column('B mult-adds', justify='right')
  for preset in presets.find_presets():
    table.add_row(
      f'{preset.relative_path}\n  cost: {preset.cost}; {preset.title}',
      f'{preset.parameters:.1f}',
      f'{preset.multiply_adds:.1f}',
    )
  console.print(table)
