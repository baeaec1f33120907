"""Tables of what a config can choose from, and of the programs."""

import ast
import fnmatch
import glob
import os
import sys
from typing import Iterator, Tuple

import rich.box
import rich.console
import rich.table

from configs import factory, presets, resolver
from executor import runner  # noqa: F401, registers all that a run has
from utils import registry

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where there is no terminal to ask.
_WIDTH = 100


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


def _presets() -> Iterator[Tuple[str, ...]]:
  for preset in presets.find_presets():
    params = resolver.resolve(
      config_file=preset.path, flags={'use_tpu': True}
    ).params
    yield (
      preset.relative_path,
      '{}x{}'.format(*factory.parser_settings(params).output_size),
      f'{preset.parameters:.1f}M',
      f'{preset.multiply_adds:.1f}B',
      preset.purpose,
    )


def _programs() -> Iterator[Tuple[str, str]]:
  """Yields (path, what it does) of what can be run, by its docstring."""
  for folder in ('', 'tools'):
    for path in sorted(glob.glob(os.path.join(_ROOT, folder, '*.py'))):
      with open(path, encoding='utf-8') as file:
        text = file.read()
      if "__name__ == '__main__'" in text:
        meaning = ast.get_docstring(ast.parse(text)) or ''
        yield os.path.relpath(path, _ROOT), meaning.split('\n')[0]


def print_choices() -> None:
  """Prints parts of models, presets and programs."""
  console = rich.console.Console(
    width=None if sys.stdout.isatty() else _WIDTH, soft_wrap=True
  )
  for title, columns, rows in (
    ('Parts', ('config key', 'values'), _choices()),
    (
      'Presets (--config_file); MACs: multiply-adds for an image',
      ('file', 'image', 'params', 'MACs', 'for'),
      _presets(),
    ),
    ('Programs (--help)', ('file', 'what it does'), _programs()),
  ):
    table = rich.table.Table(
      title=title,
      title_justify='left',
      box=rich.box.SIMPLE_HEAD,
      padding=0,
      show_edge=False,
    )
    for column in columns:
      table.add_column(
        column,
        justify='right' if column in ('params', 'MACs') else 'left',
        # Paths are there to be copied: never cut short.
        no_wrap=column == 'file',
      )
    for row in rows:
      table.add_row(*row)
    console.print(table, '')
