"""Hook that stops training at a loss that is not finite."""

from typing import Any, Dict, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from utils import errors


class NonFiniteLossError(errors.UserError):
  """A loss became infinite or NaN."""


class FiniteLossHook(tf.train.SessionRunHook):
  """Checks every step's losses.

  It has to stand before the hook that saves checkpoints, so that the last good
  checkpoint stays the newest one.

  Args:
    losses: scalar tensors by name, in the order in which to blame them.
    learning_rate: scalar tensor.
    step: scalar tensor, the step before the update.
    source_ids: [batch] tensor of image ids, if the batch carries them.
  """

  def __init__(
    self,
    losses: Dict[str, tf.Tensor],
    learning_rate: tf.Tensor,
    step: tf.Tensor,
    source_ids: Optional[tf.Tensor] = None,
  ):
    self._fetches: Dict[str, Any] = {
      'losses': losses,
      'learning_rate': learning_rate,
      'step': step,
    }
    if source_ids is not None:
      self._fetches['source_ids'] = source_ids

  def before_run(self, run_context):
    return tf.train.SessionRunArgs(self._fetches)

  def after_run(self, run_context, run_values):
    values = run_values.results
    bad = [
      name for name, value in values['losses'].items() if not np.isfinite(value)
    ]
    if bad:
      raise NonFiniteLossError(
        _describe(bad, values['losses'], values, values.get('source_ids'))
      )


def _describe(
  bad: Sequence[str],
  losses: Dict[str, float],
  values: Dict[str, Any],
  source_ids: Optional[np.ndarray],
) -> str:
  ids = 'not known'
  if source_ids is not None:
    ids = ', '.join(str(i) for i in np.asarray(source_ids).tolist())
  return (
    'The loss is not finite at step {}: {} (all: {}). Learning rate {:g}; '
    'source ids of the batch: {}. The last checkpoint is from before this '
    'step. Lower train.learning_rate.init_learning_rate, lengthen the '
    'warm-up, or set train.gradient_clip_norm; if it happens at the same '
    'images again, check their boxes.'.format(
      int(values['step']),
      ', '.join(bad),
      ', '.join(f'{k} {v:g}' for k, v in losses.items()),
      float(values['learning_rate']),
      ids,
    )
  )


class FiniteVariablesListener(tf.train.CheckpointSaverListener):
  """Refuses to save a checkpoint whose weights are not finite.

  It checks all float variables, except at the start, before any update. A
  finite loss with an infinite gradient spoils the weights one step before the
  loss shows it.
  """

  def __init__(self):
    self._is_finite: Dict[str, tf.Tensor] = {}

  def begin(self):
    self._is_finite = {
      v.op.name: tf.reduce_all(tf.is_finite(v))
      for v in tf.global_variables()
      if v.dtype.base_dtype.is_floating
    }

  def before_save(self, session, global_step_value):
    if global_step_value == 0:
      return
    finite = session.run(self._is_finite)
    bad = sorted(name for name, value in finite.items() if not value)
    if bad:
      raise NonFiniteLossError(
        'The weights are not finite after step {}: {} variables, for example '
        '{}. No checkpoint was written; the last one is good. Lower '
        'train.learning_rate.init_learning_rate or set '
        'train.gradient_clip_norm.'.format(
          global_step_value, len(bad), ', '.join(bad[:3])
        )
      )
