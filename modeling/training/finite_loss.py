"""Hook that stops training at a loss that is not finite, or far too high."""

import collections
from typing import Any, Deque, Dict, List, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from utils import errors

# Losses that a median is of, and the fewest that tell what is usual.
_NUM_LOSSES = 100
_FEWEST_LOSSES = 20
_MAX_NDIMS = 4  # of a variable
_ADVICE = (
  'Lower train.learning_rate.init_learning_rate, lengthen the warm-up, or set '
  'train.gradient_clip_norm'
)


class BlowUpError(errors.UserError):
  """A loss or a weight is not finite, or a loss far above what is usual.

  Args:
    *texts: what happened, then what to do.
    step: the last one whose batch went into it.
    loss: of that step; None: the weights are the reason.
  """

  def __init__(self, *texts: str, step: int, loss: Optional[float] = None):
    super().__init__(*texts)
    self.step = step
    self.loss = loss


class RecentBatches:
  """Image ids of the batches since the last checkpoint but one."""

  def __init__(self):
    self._ids: Dict[int, np.ndarray] = {}
    self._last_save = 0

  def add(self, step: int, source_ids: np.ndarray) -> None:
    self._ids[step] = source_ids

  def note_save(self, step: int) -> None:
    """Forgets what is from before the checkpoint that came before this one."""
    self._ids = {s: v for s, v in self._ids.items() if s >= self._last_save}
    self._last_save = step

  def since(self, step: int) -> Dict[int, List[int]]:
    """Ids of the batch of each step, from one on, as far as they are known."""
    return {s: v.tolist() for s, v in self._ids.items() if s >= step}


class FiniteLossHook(tf.train.SessionRunHook):
  """Checks every step's losses.

  It has to stand before the hook that saves checkpoints, so that the last good
  checkpoint stays the newest one.

  Args:
    losses: scalar tensors by name, in the order in which to blame them.
    learning_rate: scalar tensor.
    step: scalar tensor, the step before the update.
    source_ids: [batch] tensor of image ids, if the batch carries them.
    minimized: scalar tensors, whose sum may not be more than
    factor: times the median of the last 100 sums; 0: it may.
    batches: takes the image ids.
  """

  def __init__(
    self,
    losses: Dict[str, tf.Tensor],
    learning_rate: tf.Tensor,
    step: tf.Tensor,
    source_ids: Optional[tf.Tensor] = None,
    minimized: Sequence[tf.Tensor] = (),
    factor: float = 0.0,
    batches: Optional[RecentBatches] = None,
  ):
    self._factor = factor
    self._batches = batches or RecentBatches()
    self._recent: Deque[float] = collections.deque(maxlen=_NUM_LOSSES)
    self._fetches: Dict[str, Any] = {
      'losses': losses,
      'learning_rate': learning_rate,
      'step': step,
      'minimized': list(minimized),
    }
    if source_ids is not None:
      self._fetches['source_ids'] = source_ids

  def before_run(self, run_context):
    return tf.train.SessionRunArgs(self._fetches)

  def after_run(self, run_context, run_values):
    values = run_values.results
    step, losses = int(values['step']), values['losses']
    loss = float(sum(values['minimized']))
    if 'source_ids' in values:
      self._batches.add(step, values['source_ids'])
    bad = [name for name, value in losses.items() if not np.isfinite(value)]
    why = None
    if bad:
      shown = ', '.join(f'{k} {v:g}' for k, v in losses.items())
      why = f'not finite at step {step + 1}: {", ".join(bad)} (all: {shown}).'
    elif self._factor and len(self._recent) >= _FEWEST_LOSSES:
      median = np.median(self._recent)
      if loss > self._factor * median:
        why = (
          f'{loss:g} at step {step + 1}, more than {self._factor:g} times '
          f'(train.blow_up_factor) the usual {median:g}.'
        )
    if why:
      told = f'The loss is {why}'
      raise BlowUpError(told, _advice(values), step=step, loss=loss)
    self._recent.append(loss)


def _advice(values: Dict[str, Any]) -> str:
  ids = 'not known'
  if 'source_ids' in values:
    ids = ', '.join(str(i) for i in values['source_ids'].tolist())
  return (
    'Learning rate {:g}; source ids of the batch: {}. The last checkpoint is '
    'from before this step. {}; if it happens at the same images again, check '
    'their boxes; if right after the start again, go back further '
    '(train.recover_from_blow_ups).'.format(
      float(values['learning_rate']), ids, _ADVICE
    )
  )


class FiniteVariablesListener(tf.train.CheckpointSaverListener):
  """Refuses to save a checkpoint whose weights are not finite.

  It checks all float variables, except at the start, before any update. A
  finite loss with an infinite gradient spoils the weights one step before the
  loss shows it.

  Args:
    batches: is told of each checkpoint.
  """

  def __init__(self, batches: Optional[RecentBatches] = None):
    self._batches = batches or RecentBatches()

  def begin(self):
    variables = [
      v for v in tf.global_variables() if v.dtype.base_dtype.is_floating
    ]
    # Few nodes, since they cost time at every start: one for all vectors, and
    # sums over all axes but the last. A sum is not finite if a term is not.
    axes = [tf.constant(np.arange(ndims)) for ndims in range(_MAX_NDIMS)]
    rows = [
      tf.reduce_sum(v, axes[v.shape.ndims - 1]) if v.shape.ndims > 1 else v
      for v in variables
    ]
    self._rows = tf.concat(
      [row if row.shape.ndims else [row] for row in rows], axis=0
    )
    self._names = [v.op.name for v in variables]
    self._ends = np.cumsum([row.shape.num_elements() for row in rows])

  def before_save(self, session, global_step_value):
    if global_step_value == 0:
      return
    rows = session.run(self._rows)
    bad = sorted(
      name
      for name, row in zip(self._names, np.split(rows, self._ends))
      if not np.isfinite(row).all()
    )
    if bad:
      raise BlowUpError(
        'The weights are not finite after step {}: {} variables, for example '
        '{}.'.format(global_step_value, len(bad), ', '.join(bad[:3])),
        f'No checkpoint was written; the last one is good. {_ADVICE}.',
        step=int(global_step_value) - 1,
      )

  def after_save(self, session, global_step_value):
    self._batches.note_save(int(global_step_value))
