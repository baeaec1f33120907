"""Errors of a running graph as messages for a person."""

import contextlib
import errno
import os
import re
from typing import Any, Iterator, Optional

import tensorflow.compat.v1 as tf

from dataloader import record_check, record_contents
from utils import errors

# What the runtime raises when a record cannot be read, parsed or used.
_DATA_ERRORS = (
  tf.errors.InvalidArgumentError,
  tf.errors.DataLossError,
  tf.errors.OutOfRangeError,
  tf.errors.UnknownError,
)


_MISSING_VARIABLE = re.compile(r'Key (\S+) not found in checkpoint')


# How the operating system calls what happens to files; TensorFlow writes
# 'PATH; REASON'.
_REASONS = {os.strerror(number): number for number in errno.errorcode}
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def naming_bad_records(
  params: Any,
  file_pattern: str,
  contents: Optional[record_contents.Contents] = None,
) -> Iterator[None]:
  """Names the record, if one is the cause of an error that is raised inside.

  Args:
    params: the whole config.
    file_pattern: files that are read inside.
    contents: what they have to hold; what the model learns from if None.

  Raises:
    DataError: in place of an error that a bad record caused.
    UserError: in place of one that a file of another kind caused.
  """
  try:
    yield
  except _DATA_ERRORS as error:
    found = explain(error) or record_check.explain_failure(
      file_pattern, params, error, contents
    )
    if found:
      raise found from error
    raise


def explain(error: Exception) -> Optional[errors.UserError]:
  """Returns what a user has to know, or None for a defect of the program.

  Args:
    error: of the machine rather than of the data; raised while a graph ran.
  """
  of_file = _explain_file(error)
  if of_file:
    return of_file
  if not isinstance(error, tf.errors.OpError):
    return None
  line = (error.message.splitlines() or [''])[0]
  if isinstance(error, tf.errors.ResourceExhaustedError):
    return errors.UserError(
      f'Out of memory: {line}. Lower train.train_batch_size or '
      'eval.eval_batch_size, or the image size.'
    )
  missing = _MISSING_VARIABLE.search(str(error))
  if isinstance(error, tf.errors.NotFoundError) and missing:
    return errors.UserError(
      f"The checkpoint in model_dir has no variable '{missing.group(1)}': "
      'another architecture or train.optimizer was trained there. Give '
      'another --model_dir, or the parameters of its params.yaml.'
    )
  if error.op is not None and error.op.type == 'RestoreV2':
    return errors.UserError(
      'The checkpoint cannot be read: {}. Delete its files or name an older '
      'one.'.format(line.rstrip('.'))
    )
  if isinstance(
    error,
    (
      tf.errors.NotFoundError,
      tf.errors.PermissionDeniedError,
      tf.errors.FailedPreconditionError,
    ),
  ):
    return errors.UserError(line)
  return None


def explain_save(
  model_dir: str, error: Exception
) -> Optional[errors.UserError]:
  """Like `explain`, for the end of a save; None: no file is the cause."""
  if not tf.gfile.IsDirectory(model_dir):
    return errors.UserError(
      f"model_dir '{model_dir}' was deleted or moved while the run wrote "
      'there. Start it again where its checkpoints are.'
    )
  return _explain_file(error)


def _explain_file(error: Exception) -> Optional[errors.UserError]:
  """What the operating system did not allow, and where."""
  if isinstance(error, OSError):
    path, number = error.filename or '', error.errno
  elif isinstance(error, tf.errors.OpError):
    path, _, reason = (error.message or '').split('\n')[0].rpartition('; ')
    number = _REASONS.get(reason)
  else:
    return None
  if number in _FULL:
    return errors.UserError(
      'The disk is full{}: {}. Free space there, or write to another disk; '
      'what was whole stays so.'.format(
        f" at '{path}'" if path else '', os.strerror(number)
      )
    )
  if number == errno.EFBIG:
    advice = 'Raise the limit (ulimit -f), or write to another file system.'
  else:
    advice = (
      'Check that the path is right and that this program may read and write '
      'there.'
    )
  if not path or number is None:
    return None
  return errors.UserError(f"'{path}': {os.strerror(number)}. {advice}")
