"""Errors that a user can mend; programs print their message alone.

A program that ends with a `UserError` prints its message without a traceback
and exits with `exit_code`. The message says what is wrong (key or file), the
value received, the values allowed, and what to do.
"""

import contextlib
import difflib
import json
from typing import Any, Iterable, Iterator

_SHOWN = 120


class UserError(Exception):
  """Something outside the code is wrong: data, files, machine."""

  exit_code = 1
  # Whether a person wanted it so.
  is_interrupt = False

  def __str__(self) -> str:
    # KeyError, which subclasses mix in, would print the repr of the message.
    text = ' '.join(str(arg) for arg in self.args)
    # What was received may hold what a terminal obeys, or cannot be printed.
    return ''.join(
      c if c.isprintable() or c == '\n' else ascii(c)[1:-1] for c in text
    )


class ConfigError(UserError, ValueError):
  """A parameter or flag has a value that cannot work."""

  exit_code = 2


class UnknownKeyError(ConfigError, KeyError):
  """A parameter key does not exist."""


class DataError(UserError, ValueError):
  """A record, image or annotation file cannot be used."""


@contextlib.contextmanager
def naming(before: str = '', after: str = '') -> Iterator[None]:
  """Adds to the message of a ConfigError where what is wrong stands."""
  try:
    yield
  except ConfigError as error:
    raise type(error)(before + str(error) + after) from error


def shown(value: Any) -> str:
  """Returns a value for a message, as YAML has it, shortened if it is long."""
  is_word = value is None or isinstance(value, bool)
  text = json.dumps(value) if is_word else repr(value)
  return text if len(text) <= _SHOWN else text[:_SHOWN] + '...'


def did_you_mean(name: str, known: Iterable[str]) -> str:
  """Returns ' Did you mean ...?' for the closest known name, or ''."""
  close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
  return f" Did you mean '{close[0]}'?" if close else ''
