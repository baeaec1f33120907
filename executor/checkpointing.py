"""Hooks that save checkpoints, and check those that are restored."""

import functools
import logging
import os
import types
from typing import Any

import tensorflow.compat.v1 as tf

from executor import failures, run_history
from modeling import (
  checkpoint,
  checkpoint_repair,
  checkpoint_state,
  weight_averages,
)
from utils import signals

_log = logging.getLogger(__name__)


class CheckpointHook(tf.train.CheckpointSaverHook):
  """Saves at the start of a new run, at intervals and at the end.

  It leaves out `graph.pbtxt`, whose text takes seconds to write for a detector;
  the graph is in the event file and beside each checkpoint (`.meta`) but that
  of the start. A run that goes on from a checkpoint does not write that one
  again, which would spoil it if there is no room. A save that fails is a
  UserError, leaves nothing behind, and the older checkpoints as they are.
  """

  def after_create_session(self, session, coord):
    del coord
    step = session.run(self._global_step_tensor)
    if step == 0:
      self._save(session, step)
    self._timer.update_last_triggered_step(step)

  def end(self, session):
    super().end(session)
    signals.be_patient(signals.PATIENCE)

  def _get_saver(self) -> Any:
    # Nobody wants the graph of a run at its start so much as the first step.
    save = functools.partial(
      super()._get_saver().save, write_meta_graph=self._saved_step > 0
    )
    return types.SimpleNamespace(save=save)

  def _save(self, session: tf.Session, step: Any) -> Any:
    self._saved_step = step
    # What a signal would cut off is what the run wants to keep.
    signals.be_patient(None)
    try:
      should_stop = super()._save(session, step)
      _log.info('Saved %s.', f'{self._save_path}-{step}')
      return should_stop
    except (tf.errors.OpError, ValueError) as error:
      checkpoint_repair.remove_unfinished(f'{self._save_path}-{step}')
      # Also what a session would take for the end of the data.
      told = failures.explain_save(self._checkpoint_dir, error)
      if told is None:
        raise
      raise told from error
    finally:
      signals.be_patient(signals.PATIENCE)


class KeepListener(tf.train.CheckpointSaverListener):
  """Keeps a checkpoint for every so many hours, whenever the run was stopped.

  A saver counts from its own start, and each stretch of a training has its own.

  Args:
    model_dir: the run's directory.
    hours: from one that is kept to the next.
  """

  def __init__(self, model_dir: str, hours: float):
    self._model_dir = model_dir
    self._hours = hours

  def before_save(self, session, global_step_value):
    del global_step_value
    passing = checkpoint_state.listed(self._model_dir)
    kept = [
      tf.gfile.Stat(prefix + '.index').mtime_nsec / 1e9
      for prefix in checkpoint.find_all(self._model_dir)
      if os.path.basename(prefix) not in passing
    ]
    last = max(kept, default=run_history.first_start(self._model_dir))
    (saver,) = session.graph.get_collection(tf.GraphKeys.SAVERS)
    saver._next_checkpoint_time = last + self._hours * 3600


class FittingCheckpointHook(tf.train.SessionRunHook):
  """Checks that a checkpoint fits the graph, before it is restored.

  Args:
    checkpoint_path: prefix of the checkpoint's files.
    use_averages: whether moving averages of weights stand in for these.
  """

  def __init__(self, checkpoint_path: str, use_averages: bool):
    self._checkpoint_path = checkpoint_path
    self._use_averages = use_averages

  def begin(self):
    variables = tf.global_variables()
    checkpoint.check_restorable(self._checkpoint_path, variables)
    names = weight_averages.restored_names(
      self._checkpoint_path, variables, self._use_averages
    )
    # The session takes it in place of one of its own.
    tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver(names))
