"""Parameters in text: `a.b=1,c=2`, YAML, JSON, or a file's path."""

import copy
import os
import re
from typing import Any, Dict, NamedTuple, Union

from configs import yaml_loader
from utils import errors, files

_NAME = r'[A-Za-z][\w.]*'
# A list, of lists of lists at most.
_LIST = r'\[[^\[\]]*\]'
for _ in range(2):
  _LIST = r'\[(?:[^\[\]]|{})*\]'.format(_LIST)
# Nothing can be split in two ways, or long texts would take minutes.
_VALUE = r"""\s*(?:'[^']*'|"[^"]*"|{})\s*|[^,\[]*""".format(_LIST)
_ITEM = re.compile(
  r'(?P<name>{})\s*=(?P<value>{})(?P<end>,\s*|$)'.format(_NAME, _VALUE)
)
# Paths and bucket URLs hold characters that YAML would trip over, so bare
# values that start like one are taken as text.
_TAKEN_AS_TEXT = ('g', 's', ':', '/')
_PATH_LIKE = re.compile(r'/|\.(ya?ml|json)$')
_MOST_PARTS = 20


class Parsed(NamedTuple):
  """Parameters and the form in which they were found."""

  values: Dict[str, Any]
  form: str  # 'dict', 'csv', 'yaml' or 'file'.
  text: str

  def hint(self) -> str:
    """Says what else the text may have been meant as, for error messages."""
    if self.form == 'file':
      return f" (in file '{self.text}')"
    if self.form == 'csv' and _PATH_LIKE.search(self.text):
      return ' ({} was read as key=value; no file has this name)'.format(
        errors.shown(self.text)
      )
    return ''


def parse(source: Union[None, str, Dict[str, Any]]) -> Parsed:
  """Reads parameters from a dict, from text or from a file.

  Args:
    source: nested dict, or text. Text that names an existing file is that file;
      otherwise it is tried as 'a.b=1,c=2', as YAML or JSON, and as a path.

  Returns:
    The parameters as nested dicts; empty for None, '' and {}.

  Raises:
    errors.ConfigError: no form fits; the message says why for each of them.
  """
  if source in (None, '') or isinstance(source, dict):
    return Parsed(copy.deepcopy(source or {}), 'dict', '')
  if not isinstance(source, str):
    raise errors.ConfigError(
      f'Parameters must be a dict or text, not {errors.shown(source)}.'
    )
  if not files.is_text(source):
    raise errors.ConfigError(
      f'{errors.shown(source)} holds what is no text in UTF-8.'
    )
  if len(source) < 4096 and '\n' not in source and os.path.isfile(source):
    return Parsed(read_file(source), 'file', source)
  try:
    return Parsed(_parse_csv(source), 'csv', source)
  except _NotCsvError as error:
    csv_problem = str(error)
  if files.is_remote(source) and not re.search(r'\s|=', source):
    return Parsed(read_file(source), 'file', source)
  try:
    return Parsed(_mapping(source), 'yaml', source)
  except errors.ConfigError as error:
    yaml_problem = str(error)
  if not re.search('[=\n:]', source):
    # Nothing but a path looks like this.
    return Parsed(read_file(source), 'file', source)
  raise errors.ConfigError(
    f'Cannot read the parameters {errors.shown(source)}. As key=value pairs: '
    f'{csv_problem}. As YAML: {yaml_problem} As a path: no such file.'
  )


def read_file(path: str) -> Dict[str, Any]:
  """Reads a YAML or JSON file (local or gs://) that holds a mapping.

  Raises:
    errors.ConfigError: missing, not YAML, or no mapping; the file is named.
  """
  text = files.read_text(path)
  with errors.naming(f"File '{path}': "):
    return _mapping(text)


def _mapping(text: str) -> Dict[str, Any]:
  values = yaml_loader.load(text)
  if values is None:
    return {}
  if not isinstance(values, dict):
    raise errors.ConfigError(
      f'It is {type(values).__name__} instead of a mapping of parameters.'
    )
  return values


class _NotCsvError(Exception):
  """Why a text is not a=1,b=2."""


def _parse_csv(text: str) -> Dict[str, Any]:
  items = []
  position = 0
  while position < len(text):
    match = _ITEM.match(text, position)
    if not match:
      raise _NotCsvError(
        f'{errors.shown(text[position:])} at character {position + 1} is not '
        'key=value'
      )
    items.append((match.group('name'), match.group('value').strip()))
    position = match.end()
  nested = {}
  for name, value in items:
    _insert(nested, name, _typed(name, value))
  return nested


def _typed(name: str, value: str) -> Any:
  if value.startswith(_TAKEN_AS_TEXT):
    return value
  hint = "{0:.99}={1:.99} cannot be read; quote the value: {0:.99}='...'. "
  with errors.naming(hint.format(name, ' '.join(value.split()))):
    return yaml_loader.load(value)


def _insert(nested: Dict[str, Any], name: str, value: Any) -> None:
  *blocks, leaf = name.split('.')
  if not all((*blocks, leaf)) or len(blocks) >= _MOST_PARTS:
    raise errors.ConfigError(
      f'{errors.shown(name)} has an empty part between dots, or more than '
      f'{_MOST_PARTS} parts.'
    )
  for block in blocks:
    nested = nested.setdefault(block, {})
    if not isinstance(nested, dict):
      break
  if not isinstance(nested, dict) or isinstance(nested.get(leaf), dict):
    raise errors.ConfigError(f'{name} is given both a value and keys below it.')
  nested[leaf] = value
