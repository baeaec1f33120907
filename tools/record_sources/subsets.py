"""Splits that a source has already."""

from typing import Dict, List, TypeVar

from utils import errors

ALL = 'all'
# Names of what others train and score with, and what each is called, too.
_USUAL = {
  **{'train': 'train', 'training': 'train', 'trainval': 'trainval'},
  **{'val': 'val', 'valid': 'val', 'validation': 'val', 'dev': 'val'},
  **{'test': 'test', 'testing': 'test'},
}

_T = TypeVar('_T')


def choose(splits: Dict[str, _T], wanted: str, path: str) -> List[_T]:
  """Returns what is to be read of a source.

  Args:
    splits: by name; at least one.
    wanted: name of a split, or `all`. Where there is one only, any name that
      is not that of another usual split stands for it.
    path: of the source, for the message.

  Raises:
    errors.DataError: none of the splits is called so.
  """
  if wanted == ALL:
    return list(splits.values())
  if wanted in splits:
    return [splits[wanted]]
  for name, split in splits.items():
    if _USUAL.get(wanted) == _USUAL.get(name, ''):
      return [split]
  if len(splits) == 1 and not {wanted, *splits} <= set(_USUAL):
    return list(splits.values())
  raise errors.DataError(
    f'{path} is split into {", ".join(sorted(splits))}; it has no '
    f'{errors.shown(wanted)}. Name one of them as --subset, or '
    f'--subset={ALL} for everything.'
  )
