"""Directory that appears under its name once it is whole."""

import contextlib
import os
import shutil
import tempfile
from typing import Iterator, List, Sequence

from serving import contract
from utils import errors, files

# One of them marks the export of this program, or of the original framework.
_MARKS = (
  os.path.join(contract.DIRECTORY, contract.FILE_NAME),
  'saved_model.pb',
)


@contextlib.contextmanager
def finished_directory(
  path: str, override: bool, sources: Sequence[str] = ()
) -> Iterator[str]:
  """Gives a new directory to fill, and then renames it.

  It is a hidden neighbour of its final place. An error inside removes it, with
  the parents that were made for it; a program that is killed leaves it behind
  under its hidden name.

  Args:
    path: local directory; a trailing slash is ignored, parents are made.
    override: whether an export may be there already. It is replaced once the
      new one is whole.
    sources: files that the directory is made from, which it may not replace.

  Yields:
    Path of the directory to fill.

  Raises:
    UserError: there is something already that may not be replaced.
    ConfigError: the path cannot be one of a new directory.
  """
  target = _checked(path, override, sources)
  parent, name = os.path.split(target)
  made = _missing(parent)
  try:
    try:
      os.makedirs(parent, exist_ok=True)
      temporary = tempfile.mkdtemp(prefix=f'.{name}.', dir=parent)
    except OSError as error:
      raise errors.UserError(
        f"export_dir: '{path}' cannot be made: '{error.filename}': "
        f'{error.strerror}.'
      ) from error
    try:
      yield temporary
      _open_to_readers(temporary)
      _replace(target, temporary)
    finally:
      shutil.rmtree(temporary, ignore_errors=True)
  except BaseException:
    for directory in made:
      # Somebody else may use it by now.
      with contextlib.suppress(OSError):
        os.rmdir(directory)
    raise


def _missing(directory: str) -> List[str]:
  """Returns the directories that have to be made, the deepest first."""
  missing = []
  while not os.path.lexists(directory):
    missing.append(directory)
    directory = os.path.dirname(directory)
  return missing


def _checked(path: str, override: bool, sources: Sequence[str]) -> str:
  """Returns the absolute path of what is to be written."""
  target = os.path.abspath(path)
  if not path or files.is_remote(path) or target == os.path.dirname(target):
    raise errors.ConfigError(
      f"export_dir: '{path}' has to be a local directory that can be renamed; "
      'from there it can be copied to a bucket.'
    )
  if not os.path.lexists(target):
    return target
  reason = ''
  if not os.path.isdir(target) or os.path.islink(target):
    reason = 'is there already and is no directory. Give another name'
  elif not override:
    reason = (
      'exists already. Give another name, or --override_export_dir to replace '
      'it'
    )
  for source in sources:
    if not reason and not files.is_remote(source) and _holds(target, source):
      reason = f"holds '{source}', which would be gone. Give another name"
  if not reason and os.listdir(target) and not _is_export(target):
    reason = (
      'is no export (it has neither {}), so that --override_export_dir does '
      'not replace it. Give another name, or delete it yourself'
    ).format(' nor '.join(_MARKS))
  if reason:
    raise errors.UserError(f"export_dir: '{path}' {reason}.")
  return target


def _holds(directory: str, path: str) -> bool:
  directory, path = os.path.realpath(directory), os.path.realpath(path)
  return os.path.commonpath([directory, path]) == directory


def _is_export(directory: str) -> bool:
  return any(os.path.isfile(os.path.join(directory, mark)) for mark in _MARKS)


def _open_to_readers(directory: str) -> None:
  """Gives a temporary directory, which is private, ordinary permissions."""
  mask = os.umask(0)
  os.umask(mask)
  os.chmod(directory, 0o777 & ~mask)


def _replace(target: str, temporary: str) -> None:
  if not os.path.lexists(target):
    os.rename(temporary, target)
    return
  parent, name = os.path.split(target)
  # Renames are quick; between the two, both versions are whole.
  graveyard = tempfile.mkdtemp(prefix=f'.{name}.old.', dir=parent)
  old = os.path.join(graveyard, name)
  os.rename(target, old)
  try:
    os.rename(temporary, target)
  except OSError:
    os.rename(old, target)
    os.rmdir(graveyard)
    raise
  shutil.rmtree(graveyard, ignore_errors=True)
