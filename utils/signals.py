"""SIGINT and SIGTERM, which end a program within seconds."""

import contextlib
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time
import weakref
from typing import Any, Callable, Iterator, NoReturn, Optional

# Seconds that what runs has to end by itself; after a second signal.
PATIENCE = 12.0
_LAST_PATIENCE = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL = 0.1


class Signalled(KeyboardInterrupt):
  """A signal came while nothing was under way that is worth finishing."""

  def __init__(self, number: int):
    super().__init__(f'Interrupted by {signal.Signals(number).name}.')
    self.exit_code = 128 + number


def _swallows(frame: Any) -> bool:
  """Whether what runs is a destructor, which an exception does not leave."""
  while frame:
    code = frame.f_code
    if code.co_name == '__del__' or code.co_filename == weakref.__file__:
      return True
    frame = frame.f_back
  return False


class _Handler:
  """What the main thread does about a signal once it runs Python again."""

  def __init__(self, note: Optional[Callable[[int], None]] = None):
    self._note = note

  def __call__(self, number: int, frame: Any) -> None:
    if _swallows(frame):
      signal.signal(signal.SIGALRM, lambda _, later: self(number, later))
      signal.setitimer(signal.ITIMER_REAL, _POLL)
      return
    if self._note is None:
      raise Signalled(number)
    self._note(number)


class _Patience:
  """How long a signal leaves to what runs: seconds, or None for no limit."""

  def __init__(self):
    self.give(PATIENCE)

  def give(self, seconds: Optional[float]) -> None:
    self._state = seconds, time.monotonic()

  def is_over(self, signal_time: float) -> bool:
    seconds, start = self._state
    return seconds is not None and (
      time.monotonic() > max(signal_time, start) + seconds
    )


_patience = _Patience()
be_patient = _patience.give


def install() -> None:
  """From now on signals raise `Signalled` in the main thread.

  The program ends with code 128 + signal even if the main thread waits inside
  of a library, which keeps Python from handling signals: after `PATIENCE`
  seconds or what `be_patient` said last, or after a second signal. Handlers
  that others install are left alone.
  """
  ours, theirs = socket.socketpair()
  theirs.setblocking(False)
  threading.Thread(target=_watch, args=(ours, theirs), daemon=True).start()
  for number in _SIGNALS:
    signal.signal(number, _Handler())
  signal.set_wakeup_fd(theirs.fileno())
  os.register_at_fork(after_in_child=_forget)


@contextlib.contextmanager
def noting(note: Callable[[int], None]) -> Iterator[None]:
  """Calls `note` with the first signal instead of raising.

  Inside, something is under way that is worth finishing; a second signal is
  handled as outside.
  """
  previous = {}

  def note_first(number: int) -> None:
    restore()
    note(number)

  def restore() -> None:
    for number, handler in previous.items():
      signal.signal(number, handler)

  for number in _SIGNALS:
    previous[number] = signal.signal(number, _Handler(note_first))
  try:
    yield
  finally:
    restore()


def end(message: str, exit_code: int) -> NoReturn:
  """Ends the program now, whatever its threads and libraries wait for."""
  sys.stdout.flush()
  print(message, file=sys.stderr, flush=True)
  for child in multiprocessing.active_children():
    child.terminate()
  os._exit(exit_code)


def _watch(connection: socket.socket, written: socket.socket) -> NoReturn:
  """Ends the program when patience is over.

  Args:
    connection: where the numbers of signals arrive as they come.
    written: its other end, which has to stay open.
  """
  first, first_time = 0, 0.0
  while not first or not _patience.is_over(first_time):
    if not select.select([connection], [], [], _POLL if first else None)[0]:
      continue
    number = connection.recv(1)[0]
    if not isinstance(signal.getsignal(number), _Handler):
      continue
    if first:
      be_patient(_LAST_PATIENCE)
    else:
      first, first_time = number, time.monotonic()
  end(
    f'{Signalled(first)} What was running did not end in time.',
    128 + first,
  )


def _forget() -> None:
  """In a forked process: signals end it, and are not told to the parent."""
  signal.set_wakeup_fd(-1)
  for number in _SIGNALS:
    signal.signal(number, signal.SIG_DFL)
