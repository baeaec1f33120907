"""Declaration of a parameter: all that is known of a key, in one place."""

from typing import Any, NamedTuple, Optional, Tuple


class Values(NamedTuple):
  """Values that a key takes, apart from null.

  Attributes:
    kind: one of `value_check.KINDS`; '': that of the default.
    least, above, most, below: bounds of a number, or of each one of a list.
    length: of a list; None: any.
    min_length: of a list.
  """

  kind: str = ''
  least: Optional[float] = None
  above: Optional[float] = None
  most: Optional[float] = None
  below: Optional[float] = None
  length: Optional[int] = None
  min_length: int = 0


TEXT = Values('str')
LIST = Values('list')
TEXT_OR_LIST = Values('str or list')
SIZE = Values('list of int', least=1, length=2)
POSITIVE_LIST = Values('list of float', above=0, min_length=1)
COUNT = Values('int', least=1)
COUNT_FROM_0 = Values('int', least=0)
FROM_0 = Values(least=0)
POSITIVE = Values('float', above=0)
SHARE = Values('float', least=0, most=1)
POSITIVE_SHARE = Values('float', above=0, most=1)
RATE = Values('float', least=0, below=1)


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
    key._replace(path='{}.{}'.format(name, key.path), chosen_by=chosen_by)
    for key in keys
  )
