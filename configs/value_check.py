"""Check of a parameter's value: its kind, its limits, null."""

import numbers
import operator
from typing import Any, Callable, Dict, Iterable

from configs.keys import Key, Values
from utils import errors


def _is_int(value: Any) -> bool:
  return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
  return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
  return isinstance(value, (list, tuple))


# What a leaf may hold, apart from null; the first that fits is a value's kind.
_FITS: Dict[str, Callable[[Any], bool]] = {
  'bool': lambda value: isinstance(value, bool),
  'int': _is_int,
  'float': _is_number,
  'str': lambda value: isinstance(value, str),
  'list of int': lambda value: _is_list(value) and all(map(_is_int, value)),
  'list of float': lambda value: (
    _is_list(value) and all(map(_is_number, value))
  ),
  'list': _is_list,
  'str or list': lambda value: isinstance(value, str) or _is_list(value),
  'any': lambda value: True,
}
KINDS = tuple(_FITS)
# Of TensorFlow's int32.
_MOST_INT = 2**31 - 1
_BOUNDS = (
  ('least', operator.ge, 'at least {}'),
  ('above', operator.gt, 'above {}'),
  ('most', operator.le, 'at most {}'),
  ('below', operator.lt, 'below {}'),
)


def kind_of(value: Any) -> str:
  """Returns the kind (one of `KINDS`) that a default value stands for."""
  if _is_list(value) and not value:
    return 'list'
  return next(kind for kind, fits in _FITS.items() if fits(value))


def fits(value: Any, kind: str) -> bool:
  """Whether a value is null or of a kind; an int is a float too."""
  return value is None or _FITS[kind](value)


def type_error(path: str, value: Any, kind: str) -> errors.ConfigError:
  """Returns the error for a value at `path` that is not of its `kind`."""
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
      kind,
      errors.shown(value),
      type(value).__name__ if given == 'any' else given,
      hint,
    )
  )


def check(values: Dict[str, Any], keys: Iterable[Key]) -> None:
  """Raises ConfigError for the first value that cannot work.

  Args:
    values: {dotted key: value}, of the right kinds.
    keys: declarations of all of them.
  """
  for key in keys:
    value, allowed = values[key.path], allowed_values(key)
    if value is None and _takes_null(key):
      continue
    if key.no_effect and value != key.default:
      raise errors.ConfigError(
        '{}: {!r} would have no effect: {}. Leave it out; its default is '
        '{!r}.'.format(key.path, value, key.meaning, key.default)
      )
    if value is None:
      raise errors.ConfigError(
        '{}: null means nothing here; it has to be {}. Leave it out for the '
        'default, {!r}.'.format(key.path, _in_words(allowed), key.default)
      )
    if not _holds(value, allowed):
      raise errors.ConfigError(
        '{}: {!r} cannot work; it has to be {}.'.format(
          key.path, value, _in_words(allowed)
        )
      )


def _takes_null(key: Key) -> bool:
  return key.null or key.default in (None, '')


def allowed_values(key: Key) -> Values:
  """Returns what a key may hold, with its kind and the bounds of an int."""
  values = key.values._replace(kind=key.values.kind or kind_of(key.default))
  if values.kind in ('int', 'list of int'):
    values = values._replace(most=values.most or _MOST_INT)
  return values


def _holds(value: Any, allowed: Values) -> bool:
  if _is_list(value) and (
    len(value) < allowed.min_length or allowed.length not in (None, len(value))
  ):
    return False
  return all(
    compare(number, getattr(allowed, name))
    for name, compare, _ in _BOUNDS
    if getattr(allowed, name) is not None
    for number in (value if _is_list(value) else [value])
  )


def _in_words(values: Values) -> str:
  bounds = ' and '.join(
    words.format(getattr(values, name))
    for name, _, words in _BOUNDS
    if getattr(values, name) is not None
  )
  if not values.kind.startswith('list'):
    return ' '.join([values.kind, bounds]).rstrip()
  text = values.kind
  if values.length is not None:
    text += ' with {} items'.format(values.length)
  elif values.min_length:
    text += ' with {} or more items'.format(values.min_length)
  return text + (', each ' + bounds if bounds else '')
