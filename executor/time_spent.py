"""Where the time of a training went."""

import contextlib
import time
from typing import Iterator

import rich.console
import rich.table
import tensorflow.compat.v1 as tf

START, INPUT, STEP = 'start, first step', 'wait for input', 'steps'
CHECKPOINT, EVALUATION, OTHER = 'checkpoints', 'evaluation', 'other'
_PARTS = (START, INPUT, STEP, CHECKPOINT, EVALUATION, OTHER)


class TimeSpent:
  """Seconds by part of a run, one of which each moment belongs to.

  Attributes:
    num_images: trained on in steps that did not count as the start.
  """

  def __init__(self):
    self.num_images = 0
    self._seconds = dict.fromkeys(_PARTS, 0.0)
    self._part = OTHER
    self._since = time.monotonic()

  def switch(self, part: str) -> str:
    """Begins a part; returns the one that ends."""
    now = time.monotonic()
    self._seconds[self._part] += now - self._since
    ended, self._part, self._since = self._part, part, now
    return ended

  def move(self, part: str, other: str, seconds: float) -> None:
    """Counts seconds of a part that has ended as those of another one."""
    self._seconds[part] -= seconds
    self._seconds[other] += seconds

  @contextlib.contextmanager
  def spending(self, part: str) -> Iterator[None]:
    """Counts a block as a part."""
    ended = self.switch(part)
    yield
    self.switch(ended)

  @contextlib.contextmanager
  def printed(self) -> Iterator[None]:
    """Prints the table when the block ends, however, if there were steps."""
    try:
      yield
    finally:
      self.switch(OTHER)
      if self.num_images:
        rich.console.Console().print(self.table())

  @property
  def images_per_second(self) -> float:
    """Of all steps that did not count as the start, with their input."""
    return self.num_images / (self._seconds[INPUT] + self._seconds[STEP])

  def table(self) -> rich.table.Table:
    """Returns parts with seconds and shares, and images/s of all steps."""
    total = sum(self._seconds.values())
    table = rich.table.Table(
      title='Where the time went', show_header=False, title_justify='left'
    )
    table.add_column()
    for _ in range(2):
      table.add_column(justify='right')
    for part, seconds in self._seconds.items():
      table.add_row(part, f'{seconds:.1f} s', f'{seconds / total:.0%}')
    table.add_row('images/s', f'{self.images_per_second:.2f}')
    return table


class CheckpointListener(tf.train.CheckpointSaverListener):
  """Counts what saves a checkpoint; has to come first of all listeners."""

  def __init__(self, time_spent: TimeSpent):
    self._time_spent = time_spent
    self._before = OTHER

  def before_save(self, session, global_step_value):
    self._before = self._time_spent.switch(CHECKPOINT)

  def after_save(self, session, global_step_value):
    self._time_spent.switch(self._before)
