"""Components that are chosen by a name in the config."""

from typing import Any, Callable, Dict, List, Optional

from utils import errors


class Registry:
  """Maps the value of one config key to what implements it.

  Args:
    key: dotted path of the config key whose values are registered here, as
      errors will name it.
  """

  def __init__(self, key: str):
    self._key = key
    self._entries: Dict[str, Any] = {}

  def register(self, name: str) -> Callable[[Any], Any]:
    """Decorator that stores a function or class under `name`."""

    def decorator(entry: Any) -> Any:
      if name in self._entries:
        raise ValueError(
          "{}: '{}' is already registered.".format(self._key, name)
        )
      self._entries[name] = entry
      return entry

    return decorator

  def names(self) -> List[str]:
    return sorted(self._entries)

  def get(self, name: str, key: Optional[str] = None) -> Any:
    """Returns the entry; ConfigError naming the known ones if absent.

    Args:
      name: of the entry.
      key: the config key that holds the name, if it is another one.
    """
    if name not in self._entries:
      raise errors.ConfigError(
        '{}: {!r} is unknown; known are {}.{}'.format(
          key or self._key,
          name,
          ', '.join(self.names()),
          errors.did_you_mean(name, self._entries),
        )
      )
    return self._entries[name]
