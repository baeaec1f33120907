"""Repetition of a run whose TPU was taken away and created anew."""

import logging
from typing import Any, Callable, Optional, TypeVar

import tensorflow.compat.v1 as tf

from executor.tpu import cloud_tpu
from utils import errors

_log = logging.getLogger(__name__)

# So often in a row the TPU may be lost without a new checkpoint.
_MAX_LOSSES_WITHOUT_PROGRESS = 3

_Result = TypeVar('_Result')

# What a session reports whose other end is gone or was closed.
_LOST_ERRORS = (
  tf.errors.UnavailableError,
  tf.errors.AbortedError,
  tf.errors.CancelledError,
)


class SessionLostError(Exception):
  """The session with the TPU ended before its work did."""


class OneSessionScaffold(tf.train.Scaffold):
  """Ends what runs in a session when that is lost.

  A monitored session would make another one at the same address, and wait
  there without end for a TPU that was created anew with another address.
  """

  def __init__(self):
    super().__init__()
    self._num_sessions = 0

  def finalize(self):
    """Called before each session is made.

    Raises:
      SessionLostError: this is not the first one.
    """
    self._num_sessions += 1
    if self._num_sessions > 1:
      raise SessionLostError('the session with the TPU was lost')
    return super().finalize()


def is_disconnected(error: Exception) -> bool:
  """Whether an error says itself that the session with a TPU is gone."""
  return isinstance(error, (SessionLostError, *_LOST_ERRORS))


def is_lost(
  error: Exception, platform: Any, service: Optional[Any] = None
) -> bool:
  """Whether an error means that the TPU is gone, or was for a while.

  Args:
    error: raised while the TPU was in use.
    platform: the block `platform` of the config.
    service: stands in for the Cloud TPU API.
  """
  if isinstance(error, errors.UserError):
    return False
  if is_disconnected(error):
    return True
  try:
    tpu = cloud_tpu.CloudTpu(platform, service)
    return tpu.has_api and not tpu.status().is_healthy
  except errors.UserError:
    # The API refuses to tell; `error` says more than that.
    return False


def repeat_if_lost(
  work: Callable[[], _Result],
  is_lost: Callable[[Exception], bool],
  recover: Callable[[], None],
  step: Callable[[], int] = lambda: 0,
  last_step: int = 0,
) -> _Result:
  """Returns what `work` does, which starts anew after each loss of the TPU.

  Args:
    work: goes on from the last checkpoint, or leaves nothing behind if it
      fails.
    is_lost: whether an error means that the TPU is gone.
    recover: waits for a TPU and gets ready to work on it.
    step: that of the last checkpoint.
    last_step: `work` that returned is done when `step` is there: a
      `TPUEstimator` returns as if it were done when a session is lost.

  Raises:
    UserError: the TPU is lost again and again, without a checkpoint between.
  """
  num_losses = 0
  while True:
    before = step()
    result = error = None
    try:
      result = work()
    except Exception as raised:  # Which ones count, `is_lost` decides.
      error = raised
    # Not within `except`: what the API raises would have `error` as its cause.
    if error is not None and not is_lost(error):
      raise error
    after = step()
    if error is None and after >= last_step:
      return result
    num_losses = 1 if after > before else num_losses + 1
    reason = _first_line(error) if error else 'training ended early'
    if num_losses > _MAX_LOSSES_WITHOUT_PROGRESS:
      raise errors.UserError(
        f'The TPU was lost {num_losses} times in a row without progress'
        f'{f" after step {after}" if last_step else ""} (the last time: '
        f'{reason}). Look at its log; in training a smaller '
        'train.save_checkpoint_seconds saves more often.'
      ) from error
    _log.warning(
      'The TPU was lost (%s). Work goes on%s once it can be used again.',
      reason,
      f' from step {after}' if last_step else '',
    )
    recover()


def _first_line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]
