"""Declaration of a parameter."""

from typing import Any, Callable, Dict, NamedTuple, Sequence, Tuple


class Values(NamedTuple):
  """Values that a key takes, apart from null.

  Attributes:
    kind: one of `value_check.KINDS`; '': that of the default.
    limit: what is allowed of that kind, in words; '': everything.
    holds: whether a value is within the limit.
  """

  kind: str = ''
  limit: str = ''
  holds: Callable[[Any], bool] = lambda value: True


TEXT = Values('str')
INT = Values('int')
LIST = Values('list')
TEXT_OR_LIST = Values('str or list')
COUNT = Values('int', 'at least 1', lambda x: x >= 1)
COUNT_FROM_0 = Values('int', 'at least 0', lambda x: x >= 0)
FROM_0 = Values('float', 'at least 0', lambda x: x >= 0)
EACH_FROM_0 = Values('', 'each at least 0', lambda x: min(x, default=0) >= 0)
POSITIVE = Values('float', 'above 0', lambda x: x > 0)
SHARE = Values('float', 'at least 0 and at most 1', lambda x: 0 <= x <= 1)
POSITIVE_SHARE = Values('float', 'above 0 and at most 1', lambda x: 0 < x <= 1)
RATE = Values('float', 'at least 0 and below 1', lambda x: 0 <= x < 1)
SIZE = Values(
  'list of int',
  'with 2 items, each at least 1',
  lambda x: len(x) == 2 and min(x) >= 1,
)
POSITIVE_LIST = Values(
  'list of float',
  'with 1 or more items, each above 0',
  lambda x: min(x, default=0) > 0,
)


class Key(NamedTuple):
  """One parameter.

  Attributes:
    path: dotted key.
    default: its default value.
    meaning: one line for the documentation, with the unit.
    values: what it may hold.
    null: whether null means something although the default is neither null
      nor an empty text.
    no_effect: whether only the default is accepted; `meaning` says why.
    chosen_by: key that says by its value which block is in use; '' for the
      blocks that always are.
  """

  path: str
  default: Any
  meaning: str
  values: Values = Values()
  null: bool = False
  no_effect: bool = False
  chosen_by: str = ''


def block(name: str, *keys: Key, chosen_by: str = '') -> Tuple[Key, ...]:
  """Returns keys with the name of their block put in front of their paths."""
  return tuple(
    key._replace(path=f'{name}.{key.path}', chosen_by=chosen_by) for key in keys
  )


def with_defaults(
  keys: Sequence[Key], defaults: Dict[str, Any]
) -> Tuple[Key, ...]:
  """Returns keys with the defaults of another model.

  Null goes on to mean what it meant where it was the default.

  Args:
    keys: each with its whole path.
    defaults: by path, each that of one of the keys.
  """
  assert defaults.keys() <= {key.path for key in keys}
  return tuple(
    key._replace(
      default=defaults.get(key.path, key.default),
      null=key.null or (key.path in defaults and key.default is None),
    )
    for key in keys
  )
