"""YAML of a config with a reason for each line."""

import textwrap
from typing import Any, Dict, Iterator, List, NamedTuple

from configs import yaml_loader

_WIDTH = 88
# Of comments behind values; a longer one stands above its line.
_COLUMN = 40


class Choice(NamedTuple):
  """A value, and why it is that."""

  value: Any
  why: str


def tree(values: Dict[str, Any]) -> Dict[str, Any]:
  """{'a.b': 1, 'a.c': 2} -> {'a': {'b': 1, 'c': 2}}, in this order."""
  nested: Dict[str, Any] = {}
  for path, value in values.items():
    *blocks, name = path.split('.')
    block = nested
    for part in blocks:
      block = block.setdefault(part, {})
    block[name] = value
  return nested


def write(header: List[str], choices: Dict[str, Choice]) -> str:
  """Returns YAML.

  Args:
    header: lines of the comment at its start.
    choices: by dotted key, in the order of the file.
  """
  lines = [f'# {line}'.rstrip() for line in header]
  return '\n'.join([*lines, *_lines(tree(choices))]) + '\n'


def _lines(nested: Dict[str, Any], indent: str = '') -> Iterator[str]:
  for name, value in nested.items():
    if isinstance(value, dict):
      yield f'{indent}{name}:'
      yield from _lines(value, indent + '  ')
      continue
    line = indent + yaml_loader.dump({name: value.value}).rstrip('\n')
    both = f'{line.ljust(_COLUMN)}  # {value.why}'
    if len(both) <= _WIDTH:
      yield both
      continue
    for part in textwrap.wrap(value.why, _WIDTH - len(indent) - 2):
      yield f'{indent}# {part}'
    yield line
