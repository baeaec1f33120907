"""Progress of training: a bar on a terminal, plain lines elsewhere."""

import contextlib
import logging
import sys
import time
from typing import Optional

import tensorflow.compat.v1 as tf
import tqdm

from executor import time_spent as time_spent_lib
from modeling import model_builder

_STEPS_BETWEEN_LINES = 10
_BAR = 'step {n_fmt}/{total_fmt} |{bar:9}| {remaining} left{postfix}'
_BAR_PAUSE = 2  # Seconds between its texts, at most, if steps take long.
_log = logging.getLogger(__name__)

# Tensors by key; those that a graph lacks are not shown.
_SHOWN = {
  'loss': 'total_loss',
  'norm': model_builder.GRADIENT_NORM,
  'rate': 'learning_rate',
  'arrival': model_builder.INPUT_ARRIVAL,
}
_TEXTS = {'loss': 'loss {:.4f}', 'norm': 'norm {:.4g}', 'rate': 'lr {:.5f}'}


class ProgressHook(tf.train.SessionRunHook):
  """Shows loss, gradient norm, rate, images/s, wait for input and time left.

  Args:
    total_steps: the step at which training ends.
    batch_size: global batch, for images/s.
    time_spent: what counts the time of steps; it is in the part of the start
      until the first one is done.
    shows_values: whether values of a step can be fetched; inside a TPU's loop
      they cannot.
    summary_dir: where TensorBoard gets images/s and the wait; None for not.
  """

  def __init__(
    self,
    total_steps: int,
    batch_size: int,
    time_spent: time_spent_lib.TimeSpent,
    shows_values: bool = True,
    summary_dir: Optional[str] = None,
  ):
    self._total_steps = total_steps
    self._batch_size = batch_size
    self._time_spent = time_spent
    self._shows_values = shows_values
    self._summary_dir = summary_dir
    self._bar: Optional[tqdm.tqdm] = None
    self._is_first = True

  def begin(self):
    self._step_tensor = tf.train.get_global_step()
    self._fetches = {}
    if self._shows_values:
      graph = tf.get_default_graph()
      for key, name in _SHOWN.items():
        with contextlib.suppress(KeyError):
          self._fetches[key] = graph.get_tensor_by_name(name + ':0')

  def after_create_session(self, session, coord):
    step = int(session.run(self._step_tensor))
    self._step = self._shown_step = step
    self._shown_time, self._waited = time.time(), 0.0
    if step:
      _log.info('Training continues from step %d.', step)
    if sys.stderr.isatty():
      self._bar = tqdm.tqdm(
        total=self._total_steps,
        initial=step,
        dynamic_ncols=True,
        bar_format=_BAR,
      )

  def before_run(self, run_context):
    if not self._is_first:
      self._time_spent.switch(time_spent_lib.STEP)
    self._begin = time.time()
    return tf.train.SessionRunArgs(self._fetches)

  def after_run(self, run_context, run_values):
    step = int(run_context.session.run(self._step_tensor))
    self._time_spent.switch(time_spent_lib.OTHER)
    values = run_values.results
    waited = max(values.get('arrival', 0) - self._begin, 0)
    self._waited += waited
    if not self._is_first:
      self._time_spent.move(time_spent_lib.STEP, time_spent_lib.INPUT, waited)
      self._time_spent.num_images += (step - self._step) * self._batch_size
    self._step = step
    if self._bar is not None:
      self._bar.update(step - self._bar.n)
    if (
      self._is_first
      or step - self._shown_step >= _STEPS_BETWEEN_LINES
      or step >= self._total_steps
      or (self._bar is not None and time.time() > self._shown_time + _BAR_PAUSE)
    ):
      self._show(values)
    self._is_first = False

  def _show(self, values):
    """Shows the last step, with means since what was shown before."""
    seconds = max(time.time() - self._shown_time, 1e-6)
    num_steps = self._step - self._shown_step
    speed = num_steps * self._batch_size / seconds
    parts = [
      text.format(values[key]) for key, text in _TEXTS.items() if key in values
    ]
    parts.append(f'{_three_digits(speed)} images/s')
    summary = tf.Summary()
    summary.value.add(tag='images_per_second', simple_value=speed)
    if 'arrival' in values:
      share = self._waited / seconds
      parts[-1] += f', {share:.0%} waiting for input'
      summary.value.add(tag='input_wait_share', simple_value=share)
    if self._bar is not None:
      # A narrow terminal cuts off what comes last.
      parts = parts[-1:] + parts[:-1]
      self._bar.set_postfix_str('  '.join(parts), refresh=False)
    else:
      left = (self._total_steps - self._step) * seconds / max(num_steps, 1)
      parts.insert(0, f'step {self._step}/{self._total_steps}')
      parts.append(f'{tqdm.tqdm.format_interval(left)} left')
      _log.info('%s', '  '.join(parts))
    if self._summary_dir:
      tf.summary.FileWriterCache.get(self._summary_dir).add_summary(
        summary, self._step
      )
    self._shown_step, self._shown_time = self._step, time.time()
    self._waited = 0.0

  def end(self, session):
    if self._bar is not None:
      self._bar.close()


def _three_digits(speed: float) -> str:
  """Large networks on a CPU take seconds for an image."""
  decimals = 0 if speed >= 100 else 1 if speed >= 10 else 2
  return '{:.{}f}'.format(speed, decimals)
