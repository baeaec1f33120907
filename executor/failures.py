"""Turns errors of a running graph into messages for a person."""

from typing import Any, Optional

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


def explain(error: Exception, params: Any) -> Optional[errors.UserError]:
  """Returns what a user has to know, or None for a defect of the program.

  Args:
    error: raised while the graph ran.
    params: the whole config.
  """
  if isinstance(error, tf.errors.ResourceExhaustedError):
    return errors.UserError(
      'Out of memory: {}. Lower train.train_batch_size or '
      'eval.eval_batch_size, or the image size.'.format(
        error.message.splitlines()[0]
      )
    )
  if isinstance(error, _DATA_ERRORS):
    for pattern in (
      params.train.train_file_pattern,
      params.eval.eval_file_pattern,
    ):
      found = pattern and record_check.explain_failure(pattern, params, error)
      if found:
        return found
  if isinstance(error, tf.errors.NotFoundError):
    return errors.UserError(error.message.splitlines()[0])
  return None
