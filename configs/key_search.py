"""Suggestions for misspelt or misplaced keys."""

import difflib
from typing import Iterable

# Comparing takes seconds for a text that is no key at all.
_MOST_LENGTH = 200


def _similarity(a: str, b: str) -> float:
  return difflib.SequenceMatcher(None, a, b).ratio()


def closest_key(path: str, known: Iterable[str]) -> str:
  """Returns " Did you mean '...'?" for the closest dotted key, or ''.

  The last component counts most, so that a key in the wrong block is found.

  Args:
    path: dotted key that does not exist.
    known: dotted keys of all leaves.
  """
  if len(path) > _MOST_LENGTH:
    return ''
  known = list(known)
  blocks = {key[:i] for key in known for i, c in enumerate(key) if c == '.'}
  leaf = path.rsplit('.', 1)[-1]

  def score(key: str) -> float:
    return 0.6 * _similarity(leaf, key.rsplit('.', 1)[-1]) + 0.4 * _similarity(
      path, key
    )

  best = max(known + sorted(blocks), key=score, default=None)
  if best is None or score(best) < 0.6:
    return ''
  return f" Did you mean '{best}'?"
