"""Agreement of the workers on the step at which to save or stop.

Reading variables for a checkpoint takes all workers (statistics of batch norm
are averaged when they are read), so they have to agree on the step. They do so
inside of each training step, whose gradients they wait for anyway.
"""

from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from executor import checkpointing
from modeling.training import replicas
from utils import errors, interruption, signals


class Agreement:
  """Whether any worker wants to save or to stop after the step that runs.

  Args:
    interrupt: knows of signals to this process.
  """

  def __init__(self, interrupt: interruption.StopOnSignalHook):
    self.wants_save = self.wants_end = False
    self.interrupt = interrupt

  def build(self) -> tf.Tensor:
    """Adds the question to a replica's graph.

    Returns:
      float32 [3]: the share of the replicas that want to save, to stop because
      of a signal, and to end the training.
    """

    def wishes():
      stops = self.interrupt.signal_number is not None
      return np.array([self.wants_save, stops, self.wants_end], np.float32)

    mine = tf.py_func(wishes, [], tf.float32, stateful=True)
    mine.set_shape([3])
    return replicas.mean_over_replicas(mine)


class CheckpointHook(checkpointing.CheckpointHook):
  """Saves at the same steps in all workers; only the chief writes.

  The chief's clock decides. Listeners are asked in all workers. A second
  session, which TensorFlow makes after a lost connection, is refused with a
  UserError.

  Args:
    model_dir: the run's directory.
    save_secs: seconds between checkpoints.
    agreement: of this process.
    is_chief: whether this is the one that writes.
  """

  def __init__(
    self, model_dir: str, save_secs: float, agreement: Agreement, is_chief: bool
  ):
    super().__init__(model_dir, save_secs=save_secs)
    self._agreement = agreement
    self._is_chief = is_chief
    self._agreed = agreement.build()
    self._had_session = False

  def begin(self):
    if self._is_chief:
      super().begin()
      return
    # Without the writer of an event file.
    self._global_step_tensor = tf.train.get_global_step()
    for listener in self._listeners:
      listener.begin()

  def before_run(self, run_context):
    self._agreement.interrupt.note_begin_of_step()
    self._agreement.wants_save = self._is_chief and (
      self._timer.should_trigger_for_step(self._step)
    )
    return tf.train.SessionRunArgs(self._agreed)

  def end(self, session):
    super().end(session)
    # The others may save for longer.
    signals.be_patient(None)

  def after_create_session(self, session, coord):
    if self._had_session:
      # TensorFlow would go on from the last checkpoint, with workers that are
      # in the middle of a later step.
      raise errors.UserError(
        'The connection to the other workers was lost. Start all of them again '
        'with the same command; they go on from the last checkpoint.'
      )
    self._had_session = True
    super().after_create_session(session, coord)
    self._step = session.run(self._global_step_tensor)

  def after_run(self, run_context, run_values):
    saves, stops, ends = run_values.results
    self._agreement.interrupt.note_end_of_step()
    self._step = run_context.session.run(self._global_step_tensor)
    if saves:
      self._timer.update_last_triggered_step(self._step)
      should_end = self._save(run_context.session, self._step)
      # The others have to know before any of them ends.
      self._agreement.wants_end = self._is_chief and should_end
    if ends:
      run_context.request_stop()
    if stops:
      self._agreement.interrupt.note_stop_of_another()
      self._agreement.interrupt.stop(run_context)

  def _save(self, session: tf.Session, step: Any) -> Any:
    if self._is_chief:
      return super()._save(session, step)
    for listener in self._listeners:
      listener.before_save(session, step)
    session.run(_saved_tensors(session.graph))
    for listener in self._listeners:
      listener.after_save(session, step)
    return False


def _saved_tensors(graph: tf.Graph) -> Any:
  """The operations whose values a checkpoint would hold."""
  return [
    tensor.op
    for operation in graph.get_operations()
    if operation.type == 'SaveV2'
    for tensor in operation.inputs[3:]
  ]
