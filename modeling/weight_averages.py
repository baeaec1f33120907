"""Moving averages of trained weights, beside these in a checkpoint.

They are often better than the weights of any step (Polyak and Juditsky,
https://doi.org/10.1137/0330046). The names are those of
`tf.train.ExponentialMovingAverage`.
"""

import logging
import os
from typing import Any, Dict, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import checkpoint, checkpoint_copy, checkpoint_state
from modeling.training import replicas

_log = logging.getLogger(__name__)

_ENDING = '/ExponentialMovingAverage'


def update(
  variables: Sequence[tf.Variable], decay: float, step: tf.Tensor
) -> tf.Operation:
  """Returns the operation that moves the averages on, after a training step.

  Args:
    variables: that are trained.
    decay: share of the old average; early on (1 + step) / (10 + step), if that
      is less.
    step: int, that of the update.
  """

  def apply(variables, step):
    averages = tf.train.ExponentialMovingAverage(decay, num_updates=step)
    return averages.apply(variables)

  def apply_over_replicas(strategy, step, *variables):
    return apply(variables, strategy.experimental_local_results(step)[0])

  if not replicas.is_replicated():
    return apply(variables, step)
  # A replica's own variable is no whole one, which the averages are made for.
  return tf.distribute.get_replica_context().merge_call(
    apply_over_replicas, args=(step, *variables)
  )


def restored_names(
  prefix: str, variables: Sequence[tf.Variable], use_averages: bool
) -> Dict[str, tf.Variable]:
  """Returns which variable takes which value of a checkpoint.

  Args:
    prefix: of the checkpoint's files.
    variables: to restore.
    use_averages: whether the averages stand in for the weights they are of,
      where there are any.
  """
  stored = dict(tf.train.list_variables(prefix)) if use_averages else {}
  names = {}
  for variable in variables:
    name = checkpoint.name_of(variable)
    average = name + _ENDING
    names[average if average in stored else name] = variable
  num_averages = sum(name.endswith(_ENDING) for name in names)
  if num_averages:
    _log.info(
      'Moving averages stand in for %d weights of %s (eval.use_ema).',
      *(num_averages, os.path.basename(prefix)),
    )
  return names


def begin_or_end(model_dir: str, decay: float) -> None:
  """Makes the latest checkpoint one that a run with `decay` can go on from.

  A run that begins to average late starts from its weights, in a copy of the
  checkpoint; what one that ends it means is said.

  Args:
    model_dir: of the run.
    decay: `train.ema_decay`; 0: no averages.
  """
  latest = checkpoint.find_latest(model_dir)
  if not latest:
    return
  reader = tf.train.load_checkpoint(latest)
  types = reader.get_variable_to_dtype_map()
  has_averages = any(name.endswith(_ENDING) for name in types)
  step = checkpoint.step_of(latest)
  if has_averages and not decay:
    _log.warning(
      'train.ema_decay: 0 ends the moving averages of this run at step %d. '
      'Later checkpoints are evaluated and exported with the weights as they '
      'are.',
      step,
    )
  if has_averages or not decay:
    return
  values: Dict[str, Any] = {name: reader.get_tensor(name) for name in types}
  for name, value in list(values.items()):
    is_slot = os.path.dirname(name) in types
    if np.issubdtype(value.dtype, np.floating) and not is_slot:
      values[name + _ENDING] = value
  averaged = os.path.join(model_dir, f'averages-{os.path.basename(latest)}')
  checkpoint_copy.save(values, averaged)
  passing = checkpoint_state.listed(model_dir)
  checkpoint_state.write(averaged, [*passing, averaged])
  _log.warning(
    'train.ema_decay: %s begins at step %d. The run had no moving averages '
    'before, and they start from its weights.',
    *(decay, step),
  )
