"""A signal ends training after the running step, with a checkpoint."""

import os
import signal

import pytest
import tensorflow.compat.v1 as tf

from utils import interruption, signals


def _train(directory, hook, signal_number=None, at_step=3, steps=6):
  with tf.Graph().as_default():
    step = tf.train.get_or_create_global_step()
    train_op = tf.assign_add(step, 1)
    hooks = [hook, tf.train.CheckpointSaverHook(directory, save_steps=1000)]
    with hook.handling_signals(), tf.train.SingularMonitoredSession(
      hooks=hooks
    ) as session:
      while not session.should_stop():
        done = session.run(train_op)
        if signal_number and done == at_step:
          os.kill(os.getpid(), signal_number)
        if done >= steps:
          break


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_says_how_to_resume(tmp_path, number):
  hook = interruption.StopOnSignalHook()
  before = signal.getsignal(number)
  _train(str(tmp_path), hook, number)
  # The signal came after step 3; the step that was due is finished.
  assert tf.train.latest_checkpoint(str(tmp_path)).endswith('model.ckpt-4')
  with pytest.raises(interruption.Interrupted) as info:
    hook.raise_if_stopped(str(tmp_path), 'model.ckpt-4')
  assert info.value.exit_code == 128 + number
  assert number.name in str(info.value)
  assert '--model_dir=' + str(tmp_path) in str(info.value)
  assert signal.getsignal(number) is before


def test_without_signal_nothing_is_raised(tmp_path):
  hook = interruption.StopOnSignalHook()
  _train(str(tmp_path), hook)
  hook.raise_if_stopped(str(tmp_path), 'model.ckpt-4')
  assert tf.train.latest_checkpoint(str(tmp_path)).endswith('model.ckpt-6')


def test_before_the_first_step_a_signal_ends_at_once():
  hook = interruption.StopOnSignalHook()
  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(signals.Signalled) as info:
    with hook.handling_signals(from_first_step=True):
      os.kill(os.getpid(), signal.SIGTERM)
  assert info.value.exit_code == 128 + signal.SIGTERM
  assert signal.getsignal(signal.SIGTERM) is before
  with hook.handling_signals(from_first_step=True):
    hook.before_run(None)
    os.kill(os.getpid(), signal.SIGTERM)
  assert hook.signal_number == signal.SIGTERM


def test_second_signal_ends_at_once():
  hook = interruption.StopOnSignalHook()
  # A shell lets its background jobs ignore SIGINT, the test run among them.
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    with pytest.raises(KeyboardInterrupt), hook.handling_signals():
      os.kill(os.getpid(), signal.SIGINT)
      assert hook.signal_number == signal.SIGINT
      os.kill(os.getpid(), signal.SIGINT)
  finally:
    signal.signal(signal.SIGINT, before)
