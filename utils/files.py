"""Small text files, local or in a bucket."""

import contextlib
import json
import os
from typing import Any, List, Optional

from utils import errors


def is_remote(path: str) -> bool:
  """Whether a path is a URL such as gs://bucket/file."""
  return '://' in path


def is_text(text: str) -> bool:
  """Whether it can be a path or be written: UTF-8, without a NUL."""
  return '\0' not in text and text == text.encode('utf-8', 'ignore').decode()


def _gfile():
  # TensorFlow takes seconds to import; only buckets need it.
  import tensorflow.compat.v1 as tf

  return tf.gfile, tf.errors.OpError


def read_text(path: str) -> str:
  """Returns a file's text; ConfigError names the file if it cannot be read."""
  if is_remote(path):
    gfile, op_error = _gfile()
    try:
      with gfile.GFile(path, 'r') as f:
        return f.read()
    except op_error as error:
      raise errors.ConfigError(
        f"File '{path}' cannot be read: {error}"
      ) from error
  try:
    with open(path, encoding='utf-8') as f:
      return f.read()
  except UnicodeDecodeError as error:
    raise errors.ConfigError(
      f'File {errors.shown(path)} is not UTF-8 text ({error.reason} at byte '
      f'{error.start}). Save it as UTF-8.'
    ) from error
  except (OSError, ValueError) as error:
    reason = getattr(error, 'strerror', None) or error
    raise errors.ConfigError(
      f'File {errors.shown(path)} cannot be read: {reason}.'
    ) from error


def read_unicode(path: str, what: str) -> str:
  """Returns a file's text, in UTF-8, UTF-16 or UTF-32, with a BOM or without.

  Args:
    path: local path or bucket URL.
    what: the kind of file, for messages.

  Raises:
    errors.DataError: the file cannot be read or is of another encoding.
  """
  gfile, op_error = _gfile()
  try:
    with gfile.GFile(path, 'rb') as f:
      content = f.read()
    return content.decode(json.detect_encoding(content))
  except UnicodeDecodeError as error:
    raise errors.DataError(
      f'{path}: the {what} is no Unicode text ({error.reason} at byte '
      f'{error.start}). Save it as UTF-8.'
    ) from error
  except op_error as error:
    # TensorFlow puts the path in front.
    raise errors.DataError(
      '{}: the {} cannot be read: {}.'.format(
        path, what, str(error).rpartition('; ')[2]
      )
    ) from error


def path_endings(path: str) -> List[str]:
  r"""'a/b/c.jpg', or 'a\b\c.jpg' -> ['a/b/c.jpg', 'b/c.jpg', 'c.jpg']."""
  path = os.path.normpath(path.replace('\\', '/')).strip('/')
  parts = path.split('/')
  return ['/'.join(parts[i:]) for i in range(len(parts))]


class Unfinished:
  """A local file that appears under its name once it is whole.

  As a context it gives the temporary path, and is finished at its end, or
  discarded by an error.

  Args:
    path: its directory is made if needed.

  Attributes:
    temporary: what to write: hidden, in the same directory, of the same ending.
  """

  def __init__(self, path: str):
    directory, name = os.path.split(path)
    os.makedirs(directory or '.', exist_ok=True)
    stem, ending = os.path.splitext(name)
    self._path = path
    self.temporary = os.path.join(directory, f'.{stem}.{os.getpid()}{ending}')

  def finish(self) -> None:
    os.replace(self.temporary, self._path)

  def discard(self) -> None:
    """Removes what there is."""
    with contextlib.suppress(FileNotFoundError):
      os.remove(self.temporary)

  def __enter__(self) -> str:
    return self.temporary

  def __exit__(self, error_type: Any, error: Any, traceback: Any) -> None:
    del traceback
    try:
      if error_type is None:
        self.finish()
    finally:
      self.discard()
    if isinstance(error, OSError) and error.errno:
      # A write, such as to a full disk, does not say where, or says it of the
      # temporary file.
      raise OSError(error.errno, error.strerror, self._path) from error


def write_text(path: str, text: str) -> None:
  """Writes a file so that readers see the old or the new text, never a part.

  Args:
    path: local path or bucket URL; its directory is made if needed.
    text: the whole content.
  """
  if is_remote(path):
    gfile, _ = _gfile()
    gfile.MakeDirs(os.path.dirname(path))
    temporary = f'{path}.tmp{os.getpid()}'
    with gfile.GFile(temporary, 'w') as f:
      f.write(text)
    gfile.Rename(temporary, path, overwrite=True)
    return
  with Unfinished(path) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write(text)


def write_json(path: str, content: Any, indent: Optional[int] = None) -> None:
  """Writes a JSON file as `write_text` does; NaN and infinity are refused."""
  write_text(path, json.dumps(content, allow_nan=False, indent=indent))
