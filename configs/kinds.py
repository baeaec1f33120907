"""Kinds of parameter values, and which value fits which kind."""

import numbers
from typing import Any

from utils import errors

# What a leaf may hold. Each accepts null; `limits.check` knows where it means
# something.
KINDS = (
  *('any', 'bool', 'int', 'float', 'str'),
  *('list', 'int_list', 'float_list', 'str_or_list'),
)


def _is_int(value: Any) -> bool:
  return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
  return isinstance(value, numbers.Real) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
  """Returns the kind (see `KINDS`) that a default value stands for."""
  if isinstance(value, bool):
    return 'bool'
  if _is_int(value):
    return 'int'
  if _is_number(value):
    return 'float'
  if isinstance(value, str):
    return 'str'
  if isinstance(value, (list, tuple)):
    if value and all(_is_int(item) for item in value):
      return 'int_list'
    if value and all(_is_number(item) for item in value):
      return 'float_list'
    return 'list'
  return 'any'


def fits(value: Any, kind: str) -> bool:
  if value is None or kind == 'any':
    return True
  if kind == 'bool':
    return isinstance(value, bool)
  if kind == 'int':
    return _is_int(value)
  if kind == 'float':
    return _is_number(value)
  if kind == 'str':
    return isinstance(value, str)
  if kind == 'str_or_list' and isinstance(value, str):
    return True
  if not isinstance(value, (list, tuple)):
    return False
  if kind == 'int_list':
    return all(_is_int(item) for item in value)
  if kind == 'float_list':
    return all(_is_number(item) for item in value)
  return True


def kind_name(kind: str) -> str:
  return {
    'int_list': 'list of int',
    'float_list': 'list of float',
    'str_or_list': 'str or list',
  }.get(kind, kind)


def type_error(path: str, value: Any, kind: str) -> errors.ConfigError:
  hint = ''
  if kind == 'str' and _is_number(value):
    hint = " Quote it: {}='{}' (in YAML, {}: '{}').".format(
      path, value, path.rsplit('.', 1)[-1], value
    )
  elif kind == 'int' and isinstance(value, float) and value.is_integer():
    hint = ' Write {}.'.format(int(value))
  given = kind_of(value)
  return errors.ConfigError(
    '{} must be {}, but {} is {}.{}'.format(
      path,
      kind_name(kind),
      errors.shown(value),
      type(value).__name__ if given == 'any' else kind_name(given),
      hint,
    )
  )
