"""Restrictions that several models have: functions of the whole params.

Each returns None, or what is wrong and what to do.
"""

import operator
import re
from typing import Any, Callable, Optional

Restriction = Callable[[Any], Optional[str]]

_OPERATORS = {
  '==': operator.eq,
  '!=': operator.ne,
  '<=': operator.le,
  '>=': operator.ge,
  '<': operator.lt,
  '>': operator.gt,
}
_COMPARISON = re.compile(r'^\s*([\w.]+)\s*(==|!=|<=|>=|<|>)\s*([\w.]+)\s*$')


def comparison(text: str) -> Restriction:
  """Returns the restriction that 'left op right' stands for.

  Args:
    text: two dotted keys, with ==, !=, <, <=, > or >= between them.

  Raises:
    ValueError: the text cannot be read.
  """
  match = _COMPARISON.match(text)
  if not match:
    raise ValueError(
      "Restriction '{}' is not 'key op key' with op one of {}.".format(
        text, ' '.join(_OPERATORS)
      )
    )
  left, name, right = match.groups()

  def restriction(params: Any) -> Optional[str]:
    values = params.lookup(left), params.lookup(right)
    try:
      if _OPERATORS[name](*values):
        return None
    except TypeError:
      # Null or a text beside a number.
      pass
    return '{} must hold, but {} is {!r} and {} is {!r}.'.format(
      text, left, values[0], right, values[1]
    )

  return restriction
