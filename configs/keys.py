"""Declares parameters: default, kind and meaning of each in one place."""

from typing import Any, Dict, NamedTuple, Optional, Sequence

from configs import params_dict


class Key(NamedTuple):
  """One parameter.

  Attributes:
    path: dotted key.
    default: its default value.
    meaning: one line for the documentation, with the unit.
    kind: what it may hold where the default does not tell; see
      `kinds.KINDS`.
  """

  path: str
  default: Any
  meaning: str
  kind: Optional[str] = None


def build(
  keys: Sequence[Key], restrictions: Optional[Sequence[str]] = None
) -> params_dict.ParamsDict:
  """Returns a fresh ParamsDict with the defaults of `keys`."""
  defaults: Dict[str, Any] = {}
  for key in keys:
    *blocks, leaf = key.path.split('.')
    block = defaults
    for name in blocks:
      block = block.setdefault(name, {})
    if leaf in block:
      raise ValueError('{} is declared twice.'.format(key.path))
    block[leaf] = key.default
  kinds = {key.path: key.kind for key in keys if key.kind}
  return params_dict.ParamsDict(defaults, list(restrictions or []), kinds)
