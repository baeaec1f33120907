"""The end of a training whose evaluations have stopped improving."""

import logging
import math
from typing import Any, Optional

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
  min_delta = params.train.early_stop_min_delta
  best, best_step, since = -math.inf, 0, 0
  for step, value in sorted(values.items()):
    if value is not None:
      since += 1
      if sign * value > best + min_delta:
        best, best_step, since = sign * value, step, 0
  if since < patience:
    return None
  return (
    f'{name} has not improved on the {sign * best:.4g} of step {best_step} by '
    f'more than {min_delta} in {since} evaluations '
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
