"""Ctrl-C and SIGTERM in a training."""

import contextlib
import signal
import time
from typing import Iterator, Optional

import tensorflow.compat.v1 as tf

from utils import errors, signals


class Interrupted(errors.UserError):
  """Training was stopped by a signal, after a checkpoint was saved."""

  is_interrupt = True

  def __init__(self, message: str, signal_number: int):
    super().__init__(message)
    self.exit_code = 128 + signal_number


class StopOnSignalHook(tf.train.SessionRunHook):
  """Stops after the running step once a signal has come.

  The session then ends as it does after the last step: a checkpoint is saved.
  A second signal ends the program at once. A step may take `signals.PATIENCE`
  seconds, or twice as long as the one before.
  """

  def __init__(self):
    self.signal_number: Optional[int] = None
    self._is_of_another = False
    self._has_begun = True
    self._start = 0.0

  @contextlib.contextmanager
  def handling_signals(self, from_first_step: bool = False) -> Iterator[None]:
    """Takes SIGINT and SIGTERM while something runs that ends by itself.

    Args:
      from_first_step: that is a session; before its first step, there is
        nothing to save, and signals end the program as elsewhere.
    """
    self._has_begun = not from_first_step
    with signals.noting(self._note):
      yield
    signals.be_patient(signals.PATIENCE if from_first_step else None)

  def _note(self, number: int) -> None:
    if not self._has_begun:
      raise signals.Signalled(number)
    self.signal_number = number

  def note_begin_of_step(self) -> None:
    """What `before_run` does; where others decide when to stop."""
    self._has_begun = True
    self._start = time.monotonic()

  def note_end_of_step(self) -> None:
    """The like of `after_run`."""
    seconds = 2 * (time.monotonic() - self._start)
    signals.be_patient(max(signals.PATIENCE, seconds))

  def before_run(self, run_context):
    self.note_begin_of_step()

  def after_run(self, run_context, run_values):
    del run_values
    self.note_end_of_step()
    if self.signal_number is not None:
      self.stop(run_context)

  def stop(self, run_context: tf.train.SessionRunContext) -> None:
    """Ends the session after this step; saving takes what it takes."""
    signals.be_patient(None)
    run_context.request_stop()

  def note_stop_of_another(self) -> None:
    """Notes that training stops because another process got a signal."""
    if self.signal_number is None:
      self.signal_number = signal.SIGTERM
      self._is_of_another = True

  def raise_if_stopped(self, model_dir: str, checkpoint: str) -> None:
    """Raises Interrupted, which says how to resume, if a signal came.

    Args:
      model_dir: of the training.
      checkpoint: its newest one.
    """
    if self.signal_number is None:
      return
    raise Interrupted(
      'Stopped by {}{}. The checkpoint {} was saved; the same command with '
      '--model_dir={} goes on from there.'.format(
        signal.Signals(self.signal_number).name,
        ' to another worker' if self._is_of_another else '',
        checkpoint,
        model_dir,
      ),
      self.signal_number,
    )
