"""Check of a parameter's value: its kind, its limits, null."""

import numbers
from typing import Any, Callable, Dict, Iterable, Optional

from configs.keys import Key
from utils import errors, files


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
    hint = f' Write {int(value)}.'
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


def kind(key: Key) -> str:
  """Returns the kind of a declared key, one of `KINDS`."""
  return key.values.kind or kind_of(key.default)


def check(values: Dict[str, Any], keys: Iterable[Key]) -> None:
  """Raises ConfigError for the first value that cannot work.

  Args:
    values: {dotted key: value}, of the right kinds.
    keys: declarations of all of them.
  """
  for key in keys:
    problem = _problem(key, values[key.path])
    if problem:
      raise errors.ConfigError(
        f'{key.path}: {problem}. Its default is {errors.shown(key.default)}.'
      )


def _problem(key: Key, value: Any) -> Optional[str]:
  allowed = ' '.join(filter(None, [kind(key), key.values.limit]))
  shown = errors.shown(value)
  if isinstance(value, str) and not files.is_text(value):
    return f'{shown} holds what is no text in UTF-8'
  if value is None:
    if key.null or key.default in (None, ''):
      return None
    return f'null means nothing here; it has to be {allowed}'
  if key.no_effect and value != key.default:
    return f'{shown} would have no effect: {key.meaning}'
  numbers = value if _is_list(value) else [value]
  if any(_is_int(number) and number > _MOST_INT for number in numbers):
    return f'{shown} is too large; an int is at most {_MOST_INT}'
  if key.values.holds(value):
    return None
  return f'{shown} cannot work; it has to be {allowed}'
