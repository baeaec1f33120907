"""Reads and writes small text files, local or in a bucket."""

import contextlib
import json
import os
from typing import Any, Iterator, List, Optional

from utils import errors


def is_remote(path: str) -> bool:
  """Whether a path is a URL such as gs://bucket/file."""
  return '://' in path


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
        "File '{}' cannot be read: {}".format(path, error)
      ) from error
  try:
    with open(path, encoding='utf-8') as f:
      return f.read()
  except UnicodeDecodeError as error:
    raise errors.ConfigError(
      'File {} is not UTF-8 text ({} at byte {}). Save it as UTF-8.'.format(
        errors.shown(path), error.reason, error.start
      )
    ) from error
  except (OSError, ValueError) as error:
    reason = getattr(error, 'strerror', None) or error
    raise errors.ConfigError(
      'File {} cannot be read: {}.'.format(errors.shown(path), reason)
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
  except (op_error, UnicodeDecodeError) as error:
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


def write_text(path: str, text: str) -> None:
  """Writes a file so that readers see the old or the new text, never a part.

  Args:
    path: local path or bucket URL; its directory is made if needed.
    text: the whole content.
  """
  if is_remote(path):
    gfile, _ = _gfile()
    gfile.MakeDirs(os.path.dirname(path))
    temporary = '{}.tmp{}'.format(path, os.getpid())
    with gfile.GFile(temporary, 'w') as f:
      f.write(text)
    gfile.Rename(temporary, path, overwrite=True)
    return
  os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
  with replacing(path) as temporary, open(
    temporary, 'w', encoding='utf-8'
  ) as f:
    f.write(text)


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
  """Yields where to write a local file that takes another's place at the end.

  If that fails, nothing is left of it.
  """
  directory, name = os.path.split(path)
  temporary = os.path.join(directory, '.{}.{}.tmp'.format(name, os.getpid()))
  try:
    yield temporary
    os.replace(temporary, path)
  except OSError as error:
    # That of a write, such as to a full disk, does not say where.
    raise OSError(error.errno, error.strerror, path) from error
  finally:
    with contextlib.suppress(FileNotFoundError):
      os.remove(temporary)


def write_json(path: str, content: Any, indent: Optional[int] = None) -> None:
  """Writes a JSON file as `write_text` does; NaN and infinity are refused."""
  write_text(path, json.dumps(content, allow_nan=False, indent=indent))
