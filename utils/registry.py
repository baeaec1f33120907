"""Components that are chosen by a name in the config."""

import re
from typing import Any, Callable, Dict, List, Optional, Sequence

from utils import errors

# Of every module that was imported.
REGISTRIES: List['Registry'] = []


class Registry:
  """Maps the value of one config key to what implements it.

  Args:
    key: dotted path of the config key whose values are registered here, as
      errors will name it; with * where several blocks have it.
    forms: what the key takes besides names, in words.
  """

  def __init__(self, key: str, forms: Sequence[str] = ()):
    self.key = key
    self._entries: Dict[Any, Any] = {}
    self._forms = forms
    REGISTRIES.append(self)

  def register(self, name: Any) -> Callable[[Any], Any]:
    """Decorator that stores a function or class under `name`."""

    def decorator(entry: Any) -> Any:
      if name in self._entries:
        raise ValueError(f"{self.key}: '{name}' is already registered.")
      self._entries[name] = entry
      return entry

    return decorator

  def names(self) -> List[Any]:
    return sorted(self._entries)

  def choices(self) -> str:
    """Returns the names, numbers by their size, and the other forms."""
    names = sorted(map(str, self._entries), key=_by_numbers)
    return ', '.join([*names, *self._forms])

  def get(self, name: Any, key: Optional[str] = None) -> Any:
    """Returns the entry; ConfigError naming the known ones if absent.

    Args:
      name: of the entry.
      key: the config key that holds the name, if it is another one.
    """
    if name not in self._entries:
      raise errors.ConfigError(
        f'{key or self.key}: {errors.shown(name)} is unknown; known are '
        f'{self.choices()}.{errors.did_you_mean(name, self._entries)}'
      )
    return self._entries[name]


def _by_numbers(name: str) -> List[Any]:
  """Sorts '143' after '96', and '49S' after '49'."""
  parts = re.split(r'(\d+)', name)
  return [int(part) if part.isdigit() else part for part in parts]
