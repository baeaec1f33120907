"""Plain progress lines where there is no terminal, else a bar."""

import functools
import io
import logging
import sys

import tensorflow.compat.v1 as tf

from executor import progress


def _train(first_step=0, **kwargs):
  """Steps up to the seventh, each with its loss and rate."""
  with tf.Graph().as_default():
    step = tf.train.get_or_create_global_step()
    before = tf.cast(step, tf.float32)
    tf.add(before, 0.5, name='total_loss')
    tf.constant(0.125, name='learning_rate')
    with tf.control_dependencies([before]):
      train_op = tf.assign_add(step, 1)
    resume = step.assign(first_step).op
    scaffold = tf.train.Scaffold(init_fn=lambda _, session: session.run(resume))
    hook = progress.ProgressHook(total_steps=7, batch_size=8, **kwargs)
    with tf.train.SingularMonitoredSession(
      hooks=[hook], scaffold=scaffold
    ) as session:
      for _ in range(first_step, 7):
        session.run(train_op)


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def test_a_terminal_shows_a_bar(monkeypatch):
  terminal = _Terminal()
  monkeypatch.setattr(sys, 'stderr', terminal)
  # A terminal is written to ten times a second at most.
  monkeypatch.setattr(
    progress.tqdm,
    'tqdm',
    functools.partial(progress.tqdm.tqdm, mininterval=0, miniters=1),
  )
  _train(first_step=4)
  states = [text for text in terminal.getvalue().split('\r') if '%' in text]
  # It begins where the run goes on, and is closed at the end.
  assert '| 4/7 [' in states[0]
  assert '| 5/7 [' in states[1]
  assert '| 7/7 [' in states[-1] and states[-1].endswith('\n')
  assert 'loss 6.5000 lr 0.12500 ' in states[-1]
  assert 'images/s' in states[-1]


def test_a_terminal_shows_speed_alone_where_values_are_unknown(monkeypatch):
  terminal = _Terminal()
  monkeypatch.setattr(sys, 'stderr', terminal)
  _train(shows_values=False)
  last = terminal.getvalue().split('\r')[-1]
  assert '| 7/7 [' in last and 'images/s' in last and 'loss' not in last


def test_lines_show_step_loss_rate_speed_and_time_left(caplog, monkeypatch):
  monkeypatch.setattr(progress, '_STEPS_BETWEEN_LINES', 3)
  with caplog.at_level(logging.INFO):
    _train()
  lines = [
    r.getMessage() for r in caplog.records if r.name == progress.__name__
  ]
  # The first step, each third after it, and the last.
  assert [line.split()[1] for line in lines] == ['1/7', '4/7', '7/7']
  assert 'loss 3.5000  lr 0.12500' in lines[1]
  assert all('images/s' in line and 'left' in line for line in lines)
