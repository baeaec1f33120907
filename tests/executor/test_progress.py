"""Plain progress lines where there is no terminal, else a bar."""

import functools
import io
import logging
import re
import sys
import time

import pytest
import tensorflow.compat.v1 as tf

from executor import progress, time_spent


def _train(first_step=0, input_seconds=0.0, network_seconds=0.0, **kwargs):
  """Steps up to the seventh, each with loss, rate, norm and arrival of input.

  Returns:
    What counted the time.
  """
  spent = time_spent.TimeSpent()
  spent.switch(time_spent.START)

  def sleep(seconds):
    return tf.py_func(lambda: time.sleep(seconds), [], [], stateful=True)

  with tf.Graph().as_default():
    step = tf.train.get_or_create_global_step()
    with tf.control_dependencies([sleep(input_seconds)]):
      arrival = tf.identity(tf.timestamp(), name='input_arrival')
    with tf.control_dependencies([arrival]):
      with tf.control_dependencies([sleep(network_seconds)]):
        before = tf.cast(step, tf.float32)
    tf.constant(12.5, name='gradient_norm')
    tf.add(before, 0.5, name='total_loss')
    tf.constant(0.125, name='learning_rate')
    with tf.control_dependencies([before]):
      train_op = tf.assign_add(step, 1)
    resume = step.assign(first_step).op
    scaffold = tf.train.Scaffold(init_fn=lambda _, session: session.run(resume))
    hook = progress.ProgressHook(7, 8, spent, **kwargs)
    with tf.train.SingularMonitoredSession(
      hooks=[hook], scaffold=scaffold
    ) as session:
      for _ in range(first_step, 7):
        session.run(train_op)
  return spent


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
  states = [text for text in terminal.getvalue().split('\r') if 'step' in text]
  # It begins where the run goes on, and is closed at the end.
  assert states[0].startswith('step 4/7 |')
  assert states[1].startswith('step 5/7 |')
  assert states[-1].startswith('step 7/7 |') and states[-1].endswith('\n')
  assert 'images/s, ' in states[-1]
  assert 'waiting for input  loss 6.5000  norm 12.5  lr 0.12500' in states[-1]


def test_a_terminal_shows_speed_alone_where_values_are_unknown(monkeypatch):
  terminal = _Terminal()
  monkeypatch.setattr(sys, 'stderr', terminal)
  _train(shows_values=False)
  last = terminal.getvalue().split('\r')[-1]
  assert 'step 7/7 |' in last and 'images/s' in last and 'loss' not in last


def test_lines_show_step_loss_rate_speed_and_time_left(caplog, monkeypatch):
  monkeypatch.setattr(progress, '_STEPS_BETWEEN_LINES', 3)
  with caplog.at_level(logging.INFO):
    _train()
  lines = [
    r.getMessage() for r in caplog.records if r.name == progress.__name__
  ]
  # The first step, each third after it, and the last.
  assert [line.split()[1] for line in lines] == ['1/7', '4/7', '7/7']
  assert 'loss 3.5000  norm 12.5  lr 0.12500' in lines[1]
  assert all('images/s' in line and 'left' in line for line in lines)


@pytest.mark.parametrize('of_input,of_network', [(0.08, 0.02), (0.02, 0.08)])
def test_share_that_waited_for_input(
  of_input, of_network, caplog, monkeypatch, tmp_path
):
  monkeypatch.setattr(progress, '_STEPS_BETWEEN_LINES', 6)
  with caplog.at_level(logging.INFO):
    spent = _train(
      input_seconds=of_input,
      network_seconds=of_network,
      summary_dir=str(tmp_path),
    )
  expected = pytest.approx(of_input / 0.1, abs=0.15)
  (share,) = re.findall(r', (\d+)% waiting for input  0', caplog.messages[-1])
  assert int(share) / 100 == expected
  tf.summary.FileWriterCache.get(str(tmp_path)).close()
  (path,) = tmp_path.iterdir()
  *_, event = tf.train.summary_iterator(str(path))
  values = {v.tag: v.simple_value for v in event.summary.value}
  assert event.step == 7 and values['input_wait_share'] == expected
  assert 0.5 < values['images_per_second'] / (8 / 0.1) <= 1
  # Of six steps, without the first.
  assert spent.num_images == 6 * 8
  cells = [list(column.cells) for column in spent.table().columns]
  seconds = dict(zip(cells[0], (float(c.split()[0]) for c in cells[1])))
  assert seconds[time_spent.INPUT] == pytest.approx(6 * of_input, abs=0.1)
  assert seconds[time_spent.STEP] == pytest.approx(6 * of_network, abs=0.1)
  assert seconds[time_spent.START] > 0.05
