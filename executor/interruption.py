"""Ctrl-C and SIGTERM end training in good order."""

import contextlib
import signal
from typing import Iterator, Optional

import tensorflow.compat.v1 as tf

from utils import errors


class Interrupted(errors.UserError):
  """Training was stopped by a signal, after a checkpoint was saved."""

  def __init__(self, message: str, signal_number: int):
    super().__init__(message)
    self.exit_code = 128 + signal_number


class StopOnSignalHook(tf.train.SessionRunHook):
  """Stops after the running step once a signal has come.

  The session then ends as it does after the last step: a checkpoint is saved.
  A second signal ends the program at once.
  """

  def __init__(self):
    self.signal_number: Optional[int] = None
    self._is_of_another = False

  @contextlib.contextmanager
  def handling_signals(self) -> Iterator[None]:
    """Takes SIGINT and SIGTERM while training runs."""
    previous = {}

    def note(signal_number, frame):
      del frame
      self.signal_number = signal_number
      for number, handler in previous.items():
        signal.signal(number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
      previous[number] = signal.signal(number, note)
    try:
      yield
    finally:
      for number, handler in previous.items():
        signal.signal(number, handler)

  def after_run(self, run_context, run_values):
    del run_values
    if self.signal_number is not None:
      run_context.request_stop()

  def note_stop_of_another(self) -> None:
    """Notes that training stops because another process got a signal."""
    if self.signal_number is None:
      self.signal_number = signal.SIGTERM
      self._is_of_another = True

  def raise_if_stopped(self, model_dir: str) -> None:
    """Raises Interrupted, which says how to resume, if a signal came."""
    if self.signal_number is None:
      return
    latest = tf.train.latest_checkpoint(model_dir)
    raise Interrupted(
      'Stopped by {}{}. The checkpoint {} was saved; the same command with '
      '--model_dir={} goes on from there.'.format(
        signal.Signals(self.signal_number).name,
        ' to another worker' if self._is_of_another else '',
        latest,
        model_dir,
      ),
      self.signal_number,
    )
