"""ParamsDict: nested parameters with attribute access and checked overrides."""

import copy
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from configs import legacy_keys, text_overrides, value_check, yaml_loader
from configs.key_search import closest_key
from configs.restrictions import comparison
from utils import errors, files


class MissingKeyError(errors.UnknownKeyError, AttributeError):
  """An attribute that is no key; AttributeError keeps `hasattr` working."""


class RestrictionError(errors.ConfigError, KeyError):
  """Two parameters stand in a relation that is not allowed."""


class ParamsDict:
  """Nested parameters: `params.train.total_steps`.

  Every dict becomes a nested ParamsDict; all other values are deep-copied on
  the way in. Each leaf remembers the kind of its default, and only values of
  that kind (or null) replace it: int, float (int too), bool, str, list.

  Args:
    default_params: dict or ParamsDict; of the latter an unlocked copy without
      restrictions is made.
    restrictions: list of 'left op right' where both sides are dotted keys and
      op is ==, !=, <, <=, > or >=; checked here and by `validate`.
    kinds: {dotted key: kind} where the default does not tell the kind, such as
      a null default.
    path: dotted key of this block, for messages.

  Raises:
    RestrictionError: a restriction does not hold.
    ValueError: a restriction cannot be read.
  """

  def __init__(
    self,
    default_params: Union[None, Dict[str, Any], 'ParamsDict'] = None,
    restrictions: Optional[List[str]] = None,
    kinds: Optional[Dict[str, str]] = None,
    path: str = '',
  ):
    self.__dict__.update(
      _values={},
      _kinds={},
      _locked=False,
      _restrictions=list(restrictions or []),
      _path=path,
    )
    kinds = dict(kinds or {})
    if isinstance(default_params, ParamsDict):
      kinds = {**dict(default_params.kinds()), **kinds}
    for key, value in _plain(default_params or {}).items():
      if not isinstance(key, str):
        raise errors.ConfigError(
          '{}: a key must be text, not {!r}; quote it.'.format(
            path or 'parameters', key
          )
        )
      if key.startswith('_') or hasattr(type(self), key):
        raise errors.UnknownKeyError(
          f'{self._join(key)} is reserved and cannot be a parameter.'
        )
      self._add(key, value, kinds)
    self.validate()

  def __getattr__(self, name: str) -> Any:
    # Only reached when the instance has no such attribute. Names with an
    # underscore are no keys: copy and pickle probe for them on bare objects.
    if name.startswith('_'):
      raise AttributeError(name)
    self._check_known(name)
    return self._values[name]

  def __contains__(self, name: str) -> bool:
    return name in self._values

  def __dir__(self) -> List[str]:
    return sorted(self._values)

  def __repr__(self) -> str:
    return f'ParamsDict({self.as_dict()!r})'

  def get(self, name: str, default: Any = None) -> Any:
    """Returns the value of one key of this block, or `default`."""
    return self._values.get(name, default)

  def lookup(self, path: str) -> Any:
    """Returns the value at a dotted key.

    Raises:
      errors.UnknownKeyError: there is none.
    """
    value = self
    for name in path.split('.'):
      if not isinstance(value, ParamsDict) or name not in value:
        raise errors.UnknownKeyError(self._unknown_message(path))
      value = value._values[name]
    return value

  def as_dict(self) -> Dict[str, Any]:
    """Returns plain nested dicts with copies of all values."""
    return {
      key: value.as_dict()
      if isinstance(value, ParamsDict)
      else copy.deepcopy(value)
      for key, value in self._values.items()
    }

  def leaves(self) -> Iterator[Tuple[str, Any]]:
    """Yields (dotted key, value) of every leaf, from this block down."""
    for path, block, key in self._walk():
      yield path, block._values[key]

  def kinds(self) -> Iterator[Tuple[str, str]]:
    """Yields (dotted key, kind) of every leaf, from this block down."""
    for path, block, key in self._walk():
      yield path, block._kinds[key]

  def _walk(self) -> Iterator[Tuple[str, 'ParamsDict', str]]:
    for key, value in self._values.items():
      if isinstance(value, ParamsDict):
        for path, block, leaf in value._walk():
          yield f'{key}.{path}', block, leaf
      else:
        yield key, self, key

  def __setattr__(self, name: str, value: Any) -> None:
    self._check_unlocked()
    self._check_known(name)
    value = _plain(value)
    self._check_value(name, value)
    old = self._values[name]
    if isinstance(old, ParamsDict):
      fresh = ParamsDict(value, kinds=dict(old.kinds()), path=self._join(name))
      fresh.override(value)
      self._values[name] = fresh
    else:
      self._values[name] = copy.deepcopy(value)

  def __delattr__(self, name: str) -> None:
    self._check_unlocked()
    self._check_known(name)
    del self._values[name]

  def override(
    self, other: Union[Dict[str, Any], 'ParamsDict'], is_strict: bool = True
  ) -> None:
    """Replaces values; on any error nothing has changed.

    Args:
      other: nested dict or ParamsDict of new values.
      is_strict: whether an unknown key is an error; if not, it is added.

    Raises:
      errors.UnknownKeyError: an unknown key, if `is_strict`, or a reserved one.
      errors.ConfigError: a value of the wrong type.
      ValueError: the parameters are locked.
    """
    other = _plain(other)
    if not isinstance(other, dict):
      raise errors.ConfigError(
        f'Parameters must be a mapping, not {errors.shown(other)}.'
      )
    self._check_override(other, is_strict, self)
    self._apply_override(other)

  def _check_override(
    self, other: Dict[str, Any], is_strict: bool, root: 'ParamsDict'
  ) -> None:
    self._check_unlocked()
    for key, value in other.items():
      if key in self._values:
        self._check_value(key, value)
        if isinstance(self._values[key], ParamsDict):
          self._values[key]._check_override(value, is_strict, root)
      elif is_strict:
        path = self._join(key)
        while isinstance(value, dict) and value:
          key, value = next(iter(value.items()))
          path = f'{path}.{key}'
        raise errors.UnknownKeyError(root._unknown_message(path))
      else:
        ParamsDict({key: value}, path=self._path)

  def _apply_override(self, other: Dict[str, Any]) -> None:
    for key, value in other.items():
      if key not in self._values:
        self._add(key, value, {})
      elif isinstance(self._values[key], ParamsDict):
        self._values[key]._apply_override(value)
      else:
        self._values[key] = copy.deepcopy(value)

  def _add(self, key: str, value: Any, kinds: Dict[str, str]) -> None:
    value = _plain(value)
    if isinstance(value, dict):
      start = len(key) + 1
      inner = {
        path[start:]: kind
        for path, kind in kinds.items()
        if path.startswith(key + '.')
      }
      self._values[key] = ParamsDict(value, kinds=inner, path=self._join(key))
    else:
      self._values[key] = copy.deepcopy(value)
      self._kinds[key] = kinds.get(key, value_check.kind_of(value))

  def lock(self) -> None:
    """Forbids every later change, in all nested blocks too."""
    self.__dict__['_locked'] = True
    for value in self._values.values():
      if isinstance(value, ParamsDict):
        value.lock()

  def validate(self) -> None:
    """Checks the restrictions.

    Raises:
      RestrictionError: a restriction does not hold.
      errors.UnknownKeyError: a restriction names an unknown key.
      ValueError: a restriction cannot be read.
    """
    for text in self._restrictions:
      problem = comparison(text)(self)
      if problem:
        raise RestrictionError(problem)

  def _join(self, name: str) -> str:
    return f'{self._path}.{name}' if self._path else str(name)

  def _check_unlocked(self) -> None:
    if self._locked:
      raise ValueError(
        'The parameters are locked{}.'.format(
          f' ({self._path})' if self._path else ''
        )
      )

  def _check_known(self, name: str) -> None:
    if name not in self._values:
      raise MissingKeyError(self._unknown_message(self._join(name)))

  def _check_value(self, key: str, value: Any) -> None:
    """Raises ConfigError if `value` cannot replace what `key` holds."""
    path, old = self._join(key), self._values[key]
    if isinstance(old, ParamsDict):
      if not isinstance(value, dict):
        raise errors.ConfigError(
          '{} must be a block of keys ({}), but {} is {}.'.format(
            path,
            ', '.join(dir(old)) or 'none yet',
            errors.shown(value),
            'null' if value is None else value_check.kind_of(value),
          )
        )
    elif isinstance(value, dict):
      kind = self._kinds[key].replace('any', 'a single value')
      raise errors.ConfigError(
        f'{path} must be {kind}, but {errors.shown(value)} is a block of keys.'
      )
    elif not value_check.fits(value, self._kinds[key]):
      raise value_check.type_error(path, value, self._kinds[key])

  def _unknown_message(self, path: str) -> str:
    known = [self._join(leaf) for leaf, _ in self.leaves()]
    if path in known:
      return f'{path}: dots need an equals sign: {path}=VALUE.'
    return f'Unknown parameter {path:.120}.{closest_key(path, known)}'


def _plain(value: Any) -> Any:
  return value.as_dict() if isinstance(value, ParamsDict) else value


def override_params_dict(
  params: ParamsDict,
  dict_string_or_file: Union[None, str, Dict[str, Any]],
  is_strict: bool,
) -> ParamsDict:
  """Overrides `params` in place and returns it.

  Args:
    params: parameters to change; nothing has changed on an error.
    dict_string_or_file: nested dict, or text: the path of an existing YAML
      file; else 'a.b=1,c=2', or YAML or JSON, whichever it can be read as
      first. April-2020 keys are translated, with one warning each.
    is_strict: whether an unknown key is an error; if not, it is added.

  Raises:
    errors.ConfigError: see `text_overrides.parse` and `ParamsDict.override`.
  """
  parsed = text_overrides.parse(dict_string_or_file)
  with errors.naming(after=parsed.hint()):
    changes = legacy_keys.translate(parsed.values, params.as_dict())
    params.override(changes, is_strict)
  return params


def with_overrides(params: ParamsDict, changes: Dict[str, Any]) -> ParamsDict:
  """Returns an unlocked copy of a config with other values.

  Args:
    params: the config.
    changes: values by dotted key; those that the config lacks are left out.
  """
  changed = ParamsDict(params)
  known = dict(params.leaves())
  changed.override(nested({k: v for k, v in changes.items() if k in known}))
  return changed


def nested(values: Dict[str, Any]) -> Dict[str, Any]:
  """{'a.b': 1, 'a.c': 2} -> {'a': {'b': 1, 'c': 2}}, in this order."""
  tree: Dict[str, Any] = {}
  for path, value in values.items():
    *blocks, name = path.split('.')
    block = tree
    for part in blocks:
      block = block.setdefault(part, {})
    block[name] = value
  return tree


def read_yaml_to_params_dict(path: str) -> ParamsDict:
  """Reads a YAML file (local or gs://) into a ParamsDict."""
  return ParamsDict(text_overrides.read_file(path))


def save_params_dict_to_yaml(params: ParamsDict, path: str) -> None:
  """Writes YAML: keys sorted, lists on one line; replaces an old file whole."""
  files.write_text(path, yaml_loader.dump(params.as_dict()))


def difference(values: Dict[str, Any], known: Dict[str, Any]) -> Dict[str, Any]:
  """Returns what of nested values is absent or another in `known`."""
  different = {}
  for key, value in values.items():
    if isinstance(value, dict) and key in known:
      value = difference(value, known[key])
      if value:
        different[key] = value
    elif key not in known or value != known[key]:
      different[key] = value
  return different
