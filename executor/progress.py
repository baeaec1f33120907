"""Progress of training: a bar on a terminal, plain lines elsewhere."""

import logging
import sys
import time
from typing import Optional

import tensorflow.compat.v1 as tf
import tqdm

# Plain lines, without a terminal.
_STEPS_BETWEEN_LINES = 10
_log = logging.getLogger(__name__)

_LOSS = 'total_loss:0'
_LEARNING_RATE = 'learning_rate:0'


class ProgressHook(tf.train.SessionRunHook):
  """Shows step, loss, learning rate, images/s and time left.

  Args:
    total_steps: the step at which training ends.
    batch_size: global batch, for images/s.
    shows_values: whether loss and learning rate can be fetched; inside a
      TPU's loop they cannot.
  """

  def __init__(
    self,
    total_steps: int,
    batch_size: int,
    shows_values: bool = True,
  ):
    self._total_steps = total_steps
    self._batch_size = batch_size
    self._shows_values = shows_values
    self._bar: Optional[tqdm.tqdm] = None
    self._start_step: Optional[int] = None

  def begin(self):
    self._fetches = {'step': tf.train.get_global_step()}
    if self._shows_values:
      graph = tf.get_default_graph()
      self._fetches['loss'] = graph.get_tensor_by_name(_LOSS)
      self._fetches['learning_rate'] = graph.get_tensor_by_name(_LEARNING_RATE)

  def after_create_session(self, session, coord):
    step = int(session.run(self._fetches['step']))
    self._start_step = self._last_line_step = step
    self._start_time = self._last_line_time = time.time()
    if step:
      _log.info('Training continues from step %d.', step)
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(
        total=self._total_steps, initial=step, unit='step', dynamic_ncols=True
      )

  def before_run(self, run_context):
    values = {k: v for k, v in self._fetches.items() if k != 'step'}
    return tf.train.SessionRunArgs(values)

  def after_run(self, run_context, run_values):
    step = int(run_context.session.run(self._fetches['step']))
    values = run_values.results
    if self._bar is not None:
      self._update_bar(step, values)
    elif (
      step - self._last_line_step >= _STEPS_BETWEEN_LINES
      or self._last_line_step == self._start_step
      or step >= self._total_steps
    ):
      self._print_line(step, values)

  def _update_bar(self, step, values):
    self._bar.update(step - self._bar.n)
    images = (step - self._start_step) * self._batch_size
    speed = images / max(time.time() - self._start_time, 1e-6)
    text = f'{_three_digits(speed)} images/s'
    if values:
      text = 'loss {loss:.4f} lr {learning_rate:.5f} '.format(**values) + text
    self._bar.set_postfix_str(text, refresh=False)

  def _print_line(self, step, values):
    now = time.time()
    seconds_per_step = (now - self._last_line_time) / max(
      step - self._last_line_step, 1
    )
    speed = self._batch_size / max(seconds_per_step, 1e-6)
    left = (self._total_steps - step) * seconds_per_step
    text = f'step {step}/{self._total_steps}'
    if values:
      text += '  loss {loss:.4f}  lr {learning_rate:.5f}'.format(**values)
    _log.info(
      '%s  %s images/s  %s left',
      text,
      _three_digits(speed),
      tqdm.tqdm.format_interval(left),
    )
    self._last_line_step, self._last_line_time = step, now

  def end(self, session):
    if self._bar is not None:
      self._bar.close()


def _three_digits(speed: float) -> str:
  """Large networks on a CPU take seconds for an image."""
  decimals = 0 if speed >= 100 else 1 if speed >= 10 else 2
  return '{:.{}f}'.format(speed, decimals)
