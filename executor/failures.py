"""Turns errors of a running graph into messages for a person."""

import contextlib
import re
from typing import Any, Iterator, Optional

import tensorflow.compat.v1 as tf

from dataloader import record_check
from utils import errors

# What the runtime raises when a record cannot be read, parsed or used.
_DATA_ERRORS = (
  tf.errors.InvalidArgumentError,
  tf.errors.DataLossError,
  tf.errors.OutOfRangeError,
  tf.errors.UnknownError,
)


_MISSING_VARIABLE = re.compile(r'Key (\S+) not found in checkpoint')


@contextlib.contextmanager
def naming_bad_records(params: Any, file_pattern: str) -> Iterator[None]:
  """Names the record, if one is the cause of an error that is raised inside.

  Args:
    params: the whole config.
    file_pattern: files that are read inside.

  Raises:
    DataError: in place of an error that a bad record caused.
  """
  try:
    yield
  except _DATA_ERRORS as error:
    found = record_check.explain_failure(file_pattern, params, error)
    if found:
      raise found from error
    raise


def explain(error: Exception) -> Optional[errors.UserError]:
  """Returns what a user has to know, or None for a defect of the program.

  Args:
    error: of the machine rather than of the data; raised while a graph ran.
  """
  if isinstance(error, tf.errors.ResourceExhaustedError):
    return errors.UserError(
      'Out of memory: {}. Lower train.train_batch_size or '
      'eval.eval_batch_size, or the image size.'.format(
        error.message.splitlines()[0]
      )
    )
  missing = _MISSING_VARIABLE.search(str(error))
  if isinstance(error, tf.errors.NotFoundError) and missing:
    return errors.UserError(
      "The checkpoint in model_dir has no variable '{}': another architecture "
      'or train.optimizer was trained there. Give another --model_dir, or the '
      'parameters of its params.yaml.'.format(missing.group(1))
    )
  if isinstance(
    error,
    (
      tf.errors.NotFoundError,
      tf.errors.PermissionDeniedError,
      tf.errors.FailedPreconditionError,
    ),
  ):
    return errors.UserError(error.message.splitlines()[0])
  if isinstance(error, OSError) and error.filename:
    return errors.UserError(
      "'{}': {}. Check that the path is right and that this program may read "
      'and write there.'.format(error.filename, error.strerror)
    )
  return None
