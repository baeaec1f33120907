"""The one YAML reader for every source of parameters."""

import re
from typing import Any

import yaml

from utils import errors


class ParamsLoader(yaml.SafeLoader):
  """Safe loader under which scientific notation is a number everywhere.

  YAML 1.1 reads `1e-4`, `1e5` and `1.5e3` as text, because it wants a point
  and a signed exponent; a learning rate written so would become a string.
  """


# What YAML 1.1 misses; all that it knows stays as it is (`1.e3` is text).
_FLOAT = re.compile(
  r'^[-+]?(?:'
  r'(?:[0-9][0-9_]*(?:\.[0-9][0-9_]*)?|\.[0-9][0-9_]*)[eE][-+]?[0-9]+'
  r'|\.[0-9][0-9_]*)$'
)
ParamsLoader.add_implicit_resolver(
  'tag:yaml.org,2002:float', _FLOAT, list('-+.0123456789')
)
# Tuples in files that were saved with Python tags.
ParamsLoader.add_constructor(
  'tag:yaml.org,2002:python/tuple',
  lambda loader, node: loader.construct_sequence(node, deep=True),
)


def load(text: str) -> Any:
  """Parses one YAML (or JSON) document.

  Raises:
    errors.ConfigError: the text is not YAML; the message has line and column.
  """
  try:
    return yaml.load(text, Loader=ParamsLoader)
  except (yaml.YAMLError, ValueError) as error:
    reason = ' '.join(str(error).split())
    raise errors.ConfigError('Not valid YAML: {}'.format(reason)) from error


class _ParamsDumper(yaml.SafeDumper):
  """Block mappings, inline lists; tuples become lists."""

  def ignore_aliases(self, data: Any) -> bool:
    return True


def _represent_list(dumper: yaml.Dumper, value: Any) -> yaml.Node:
  return dumper.represent_sequence(
    'tag:yaml.org,2002:seq', value, flow_style=True
  )


_ParamsDumper.add_representer(list, _represent_list)
_ParamsDumper.add_representer(tuple, _represent_list)
# The dumper quotes what would be read back as another type; it has to know
# our floats as well, or the string '1e-4' would come back as a number.
_ParamsDumper.add_implicit_resolver(
  'tag:yaml.org,2002:float', _FLOAT, list('-+.0123456789')
)


def dump(value: Any) -> str:
  """Returns YAML: block mappings with sorted keys, lists on one line."""
  return yaml.dump(
    value, Dumper=_ParamsDumper, default_flow_style=False, width=10**6
  )
