"""Saves checkpoints while training runs."""

import tensorflow.compat.v1 as tf

from modeling import finite_loss


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


class FiniteVariablesListener(finite_loss.FiniteVariablesListener):
  """Checks all float variables, except at the start, before any update."""

  def __init__(self):
    self._is_first = True

  def begin(self):
    super().__init__(
      [v for v in tf.global_variables() if v.dtype.base_dtype.is_floating]
    )

  def before_save(self, session, global_step_value):
    if not self._is_first:
      super().before_save(session, global_step_value)
    self._is_first = False
