"""The end of a training whose evaluations have stopped improving."""

import logging
import math
from typing import Any, List, Optional

import tensorflow.compat.v1 as tf

from evaluation import report
from executor import best_checkpoint
from executor import evaluation as evaluation_lib

_log = logging.getLogger(__name__)


def reason(params: Any) -> Optional[str]:
  """Returns why training should go on no more, None if it should.

  Of each step the last evaluation in `history.json` counts, and of a metric
  that is not finite none.

  Args:
    params: the whole config, `train.early_stop_*` and `eval.best_metric`.
  """
  patience = params.train.early_stop_evaluations
  if not patience:
    return None
  name, sign = best_checkpoint.parse(params.eval.best_metric)
  history = report.read_history(evaluation_lib.directory_of(params))
  values = {e['step']: e['metrics'].get(name) for e in history}
  values = {step: v for step, v in sorted(values.items()) if v is not None}
  min_delta = params.train.early_stop_min_delta
  since = _evaluations_since_best(
    [sign * v for v in values.values()], min_delta
  )
  if since < patience:
    return None
  best_step = list(values)[-1 - since]
  return (
    f'{name} has not improved on the {values[best_step]:.4f} of step '
    f'{best_step} by more than {min_delta} in {since} evaluations '
    f'(train.early_stop_evaluations: {patience}).'
  )


class Listener(tf.train.CheckpointSaverListener):
  """Ends a training after a checkpoint, if evaluations elsewhere say so.

  Args:
    params: the whole config.
  """

  def __init__(self, params: Any):
    self._params = params

  def after_save(self, session: tf.Session, global_step_value: int) -> bool:
    del session, global_step_value
    why = reason(self._params)
    if why:
      _log.info('Training ends here: %s', why)
    return bool(why)


def _evaluations_since_best(values: List[float], min_delta: float) -> int:
  best, since = -math.inf, 0
  for value in values:
    since += 1
    if value > best + min_delta:
      best, since = value, 0
  return since
