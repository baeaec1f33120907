"""Plain progress lines where there is no terminal."""

import logging

import tensorflow.compat.v1 as tf

from executor import progress


def test_lines_show_step_loss_rate_speed_and_time_left(caplog):
  with tf.Graph().as_default(), caplog.at_level(logging.INFO):
    step = tf.train.get_or_create_global_step()
    before = tf.cast(step, tf.float32)
    tf.add(before, 0.5, name='total_loss')
    tf.constant(0.125, name='learning_rate')
    with tf.control_dependencies([before]):
      train_op = tf.assign_add(step, 1)
    hook = progress.ProgressHook(total_steps=7, batch_size=8, every_n_steps=3)
    with tf.train.SingularMonitoredSession(hooks=[hook]) as session:
      for _ in range(7):
        session.run(train_op)
  lines = [
    r.getMessage() for r in caplog.records if r.name == progress.__name__
  ]
  # The first step, each third after it, and the last.
  assert [line.split()[1] for line in lines] == ['1/7', '4/7', '7/7']
  assert 'loss 3.5000  lr 0.12500' in lines[1]
  assert all('images/s' in line and 'left' in line for line in lines)
