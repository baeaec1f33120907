"""Training stops at a loss that is not a number, and keeps what was good."""

import os

import pytest
import tensorflow.compat.v1 as tf

from modeling.training import finite_loss


def _train(directory, bad_step, spoil_weights=False):
  """Five steps that save each time; at `bad_step` something breaks."""
  with tf.Graph().as_default():
    step = tf.train.get_or_create_global_step()
    weight = tf.get_variable('weight', [], initializer=tf.ones_initializer())
    is_bad = tf.equal(step, bad_step)
    infinity = tf.constant(float('inf'))
    box_loss = tf.cond(
      is_bad & (not spoil_weights), lambda: infinity, lambda: weight * 1.0
    )
    update = tf.cond(
      is_bad & spoil_weights, lambda: infinity, lambda: tf.constant(1.0)
    )
    before = tf.cast(step, tf.int32)
    with tf.control_dependencies([before, box_loss]):
      with tf.control_dependencies([weight.assign_add(update)]):
        train_op = tf.assign_add(step, 1)
    hooks = [
      finite_loss.FiniteLossHook(
        {'cls_loss': tf.constant(0.5), 'box_loss': box_loss},
        tf.constant(0.25),
        before,
        tf.constant([11, 12], tf.int64),
      ),
      tf.train.CheckpointSaverHook(
        directory,
        save_steps=1,
        listeners=[finite_loss.FiniteVariablesListener()],
      ),
    ]
    with tf.train.SingularMonitoredSession(hooks=hooks) as session:
      for _ in range(5):
        session.run(train_op)


def test_message_names_part_step_rate_and_images(tmp_path):
  with pytest.raises(finite_loss.NonFiniteLossError) as info:
    _train(str(tmp_path), bad_step=3)
  message = str(info.value)
  assert 'not finite at step 3: box_loss (all: cls_loss 0.5' in message
  assert 'Learning rate 0.25' in message
  assert '11, 12' in message


def test_last_good_checkpoint_stays(tmp_path):
  with pytest.raises(finite_loss.NonFiniteLossError):
    _train(str(tmp_path), bad_step=3)
  latest = tf.train.latest_checkpoint(str(tmp_path))
  assert os.path.basename(latest) == 'model.ckpt-3'
  assert tf.train.load_variable(latest, 'weight') == 4.0


def test_spoilt_weights_are_not_saved(tmp_path):
  with pytest.raises(finite_loss.NonFiniteLossError) as info:
    _train(str(tmp_path), bad_step=2, spoil_weights=True)
  assert 'weights are not finite after step 3' in str(info.value)
  latest = tf.train.latest_checkpoint(str(tmp_path))
  assert os.path.basename(latest) == 'model.ckpt-2'


def test_finite_training_runs_through(tmp_path):
  _train(str(tmp_path), bad_step=-1)
  assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-5')
