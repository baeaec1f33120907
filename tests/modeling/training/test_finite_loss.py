"""Training stops at a loss that is not a number, and keeps what was good."""

import os

import numpy as np
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
  with pytest.raises(finite_loss.BlowUpError) as info:
    _train(str(tmp_path), bad_step=3)
  message = str(info.value)
  assert 'not finite at step 4: box_loss (all: cls_loss 0.5' in message
  assert 'Learning rate 0.25' in message
  assert '11, 12' in message


def test_last_good_checkpoint_stays(tmp_path):
  with pytest.raises(finite_loss.BlowUpError):
    _train(str(tmp_path), bad_step=3)
  latest = tf.train.latest_checkpoint(str(tmp_path))
  assert os.path.basename(latest) == 'model.ckpt-3'
  assert tf.train.load_variable(latest, 'weight') == 4.0


def test_spoilt_weights_are_not_saved(tmp_path):
  with pytest.raises(finite_loss.BlowUpError) as info:
    _train(str(tmp_path), bad_step=2, spoil_weights=True)
  assert 'weights are not finite after step 3' in str(info.value)
  latest = tf.train.latest_checkpoint(str(tmp_path))
  assert os.path.basename(latest) == 'model.ckpt-2'


def test_finite_training_runs_through(tmp_path):
  _train(str(tmp_path), bad_step=-1)
  assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-5')


def _spike(losses, factor):
  """Feeds sums of two parts to a hook; returns how many it took."""
  with tf.Graph().as_default():
    part = tf.placeholder(tf.float32, [])
    hook = finite_loss.FiniteLossHook(
      {'cls_loss': part},
      tf.constant(0.25),
      tf.constant(7),
      minimized=[part, 2.0 * part],
      factor=factor,
    )
    train_op = tf.no_op()
    with tf.train.SingularMonitoredSession(hooks=[hook]) as session:
      for count, loss in enumerate(losses):
        try:
          session.run(train_op, {part: loss / 3})
        except finite_loss.BlowUpError as error:
          assert error.step == 7 and error.loss == pytest.approx(loss)
          return count, str(error)
  return len(losses), ''


def test_a_loss_far_above_its_median_is_a_blow_up():
  usual = [3.0, 6.0, 300.0, 6.0] * 5
  count, message = _spike([*usual, 59.0, 61.0], 10.0)
  assert count == 21
  assert 'loss is 61 at step 8, more than 10 times' in message
  assert 'the usual 6.' in message and 'Learning rate 0.25' in message
  # Too few to tell; and where nobody asks.
  assert _spike([*usual[:-2], 61.0], 10.0)[0] == 19
  assert _spike([*usual, 1e9], 0.0)[0] == 21
  # What is long ago does not count.
  assert _spike([*[1.0] * 100, *[5.0] * 60, 49.0], 10.0)[0] == 161


def test_image_ids_since_the_last_checkpoint_but_one():
  batches = finite_loss.RecentBatches()
  for step in range(6):
    batches.add(step, np.array([step, 10 * step]))
    if step % 2:
      batches.note_save(step)
  assert batches.since(4) == {4: [4, 40], 5: [5, 50]}
  assert batches.since(0) == {3: [3, 30], 4: [4, 40], 5: [5, 50]}
  assert batches.since(6) == {}


@pytest.mark.parametrize('bad', ['scalar', 'vector', 'kernel', 'last'])
def test_the_variable_that_is_not_finite_is_named(bad):
  with tf.Graph().as_default():
    variables = {
      name: tf.get_variable(name, shape, initializer=tf.zeros_initializer())
      for name, shape in (
        ('scalar', []),
        ('vector', [3]),
        ('kernel', [1, 2, 3, 4]),
        ('count', []),
        ('last', [2, 2]),
      )
    }
    listener = finite_loss.FiniteVariablesListener()
    listener.begin()
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      listener.before_save(session, 1)
      session.run(variables[bad].assign(variables[bad] + np.nan))
      with pytest.raises(
        finite_loss.BlowUpError, match=f'1 variables, for example {bad}[.]'
      ):
        listener.before_save(session, 1)
