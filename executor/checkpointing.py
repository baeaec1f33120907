"""Saves checkpoints while training runs, and checks those that are restored."""

import tensorflow.compat.v1 as tf

from modeling import checkpoint


class CheckpointHook(tf.train.CheckpointSaverHook):
  """Saves at the start, at intervals and at the end.

  It leaves out `graph.pbtxt`, whose text takes seconds to write for a detector;
  the graph is in the event file and beside each checkpoint (`.meta`).
  """

  def after_create_session(self, session, coord):
    del coord
    step = session.run(self._global_step_tensor)
    self._save(session, step)
    self._timer.update_last_triggered_step(step)


class FittingCheckpointHook(tf.train.SessionRunHook):
  """Checks that a checkpoint fits the graph, before it is restored.

  Args:
    checkpoint_path: prefix of the checkpoint's files.
  """

  def __init__(self, checkpoint_path: str):
    self._checkpoint_path = checkpoint_path

  def begin(self):
    checkpoint.check_restorable(self._checkpoint_path, tf.global_variables())
