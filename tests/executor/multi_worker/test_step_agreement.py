"""What all workers do at the same step."""

import pytest
import tensorflow.compat.v1 as tf

from executor.multi_worker import step_agreement
from utils import errors, interruption


class _LosesConnection(tf.train.SessionRunHook):
  """Fails once, as a session does whose server cannot be reached."""

  def __init__(self, at_step):
    self._at_step = at_step
    self.num_sessions = 0

  def after_create_session(self, session, coord):
    self.num_sessions += 1

  def after_run(self, run_context, run_values):
    step = run_context.session.run(tf.train.get_global_step())
    if step == self._at_step and self.num_sessions == 1:
      raise tf.errors.UnavailableError(None, None, 'Socket closed')


@pytest.mark.parametrize('is_chief', [True, False])
def test_a_lost_connection_ends_the_training(tmp_path, is_chief):
  with tf.Graph().as_default():
    step = tf.train.get_or_create_global_step()
    train_op = tf.assign_add(step, 1)
    hook = step_agreement.CheckpointHook(
      str(tmp_path),
      save_secs=1000,
      agreement=step_agreement.Agreement(interruption.StopOnSignalHook()),
      is_chief=is_chief,
    )
    losing = _LosesConnection(at_step=3)
    steps = []
    with pytest.raises(errors.UserError, match='connection to the other') as e:
      with tf.train.MonitoredTrainingSession(
        hooks=[hook, losing], summary_dir=None
      ) as session:
        while len(steps) < 10:
          steps.append(session.run(train_op))
    assert 'last checkpoint' in str(e.value)
  # Nothing is trained or saved in a session that TensorFlow made anew.
  assert steps == [1, 2]
  assert losing.num_sessions == 1
  checkpoints = [path.name for path in tmp_path.glob('model.ckpt-*.index')]
  assert checkpoints == (['model.ckpt-0.index'] if is_chief else [])
