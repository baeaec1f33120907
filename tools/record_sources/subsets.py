"""Splits that a source has already."""

from typing import Dict, List, TypeVar

from tools.record_sources import report as report_lib
from utils import errors

ALL = 'all'
_VALIDATION = ('val', 'valid', 'validation')
USUAL = ('train', *_VALIDATION, 'test')

_T = TypeVar('_T')


def choose(
  splits: Dict[str, _T], wanted: str, path: str, report: report_lib.Report
) -> List[_T]:
  """Returns what is to be read of a source.

  Args:
    splits: by name; at least one.
    wanted: name of a split, or `all`; `val`, `valid` and `validation` are the
      same. Where there is one only, any name that is not that of another
      usual split stands for it.
    path: of the source, for the message.
    report: is told of splits that are read as one.

  Raises:
    errors.DataError: none of the splits is called so.
  """
  if wanted == ALL:
    if len(splits) > 1:
      report.add('joined_splits', path, ', '.join(sorted(splits)))
    return list(splits.values())
  for name in (wanted, *(_VALIDATION if wanted in _VALIDATION else ())):
    if name in splits:
      return [splits[name]]
  if len(splits) == 1 and not {wanted, *splits} <= set(USUAL):
    return list(splits.values())
  raise errors.DataError(
    f'{path} is split into {", ".join(sorted(splits))}; it has no '
    f'{errors.shown(wanted)}. Give one of them as --name, or --name={ALL} for '
    'everything.'
  )
