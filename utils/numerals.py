"""Numbers as other programs write them into their files."""

import re
from typing import Any, Optional, Union

_NUMERAL = re.compile(
  r'\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*', re.ASCII | re.IGNORECASE
)
# More digits take Python seconds; nothing here needs them.
_MAX_LENGTH = 40
_MAX_INTEGER = 2**63 - 1
# Pixels, or areas in pixels; products of a few of them stay finite.
_MAX_NUMBER = 1e12


def integer(value: Any) -> Optional[int]:
  """Returns 7 for 7, 7.0, '7' and '7.0'; None if it is no int64."""
  value = _parsed(value)
  if value is None or not -_MAX_INTEGER <= value <= _MAX_INTEGER:
    return None
  return int(value) if value == int(value) else None


def number(value: Any) -> Optional[float]:
  """Returns a finite float for a number or its text; None for all else."""
  value = _parsed(value)
  if value is None or not -_MAX_NUMBER <= value <= _MAX_NUMBER:
    return None
  return float(value)


def _parsed(value: Any) -> Union[int, float, None]:
  if isinstance(value, str):
    if len(value) > _MAX_LENGTH or not _NUMERAL.fullmatch(value):
      return None
    try:
      return int(value)
    except ValueError:
      return float(value)
  is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
  return value if is_number else None
