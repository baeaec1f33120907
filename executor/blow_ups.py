"""Recovery of a training whose loss or weights have blown up."""

import json
import logging
import os
from typing import Any, List, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from executor import run_history
from modeling import checkpoint, checkpoint_state
from modeling.training import finite_loss
from utils import errors, files

_log = logging.getLogger(__name__)

_NAME = 'skipped_batches.jsonl'


class State(NamedTuple):
  """What recoveries have changed from a step on.

  Attributes:
    step: of the checkpoint that training went on from.
    recoveries: number of them up to then.
    left_out: number of batches; step s trains on batch s + left_out.
    learning_rate_scale: of the schedule.
  """

  step: int = 0
  recoveries: int = 0
  left_out: int = 0
  learning_rate_scale: float = 1.0


class BlowUps:
  """Keeps `model_dir/skipped_batches.jsonl`, and goes by it.

  A line a recovery, with the attributes of the `State` from then on and `time`
  (UTC), `why`, `blow_up_step`, `loss` (null: the weights blew up, or the loss
  is not finite), `first_batch` and `last_batch`, which were left out, batch s
  being that of step s had nothing been left out before, and `image_ids` of
  these batches, as numbers, as far as this process has seen them.

  The last line holds. If training goes on from a checkpoint of before that
  line, what held then is added again.

  Args:
    params: the whole config.
    history: gets a line, too.
  """

  def __init__(self, params: Any, history: run_history.RunHistory):
    self._model_dir = params.model_dir
    self._settings = params.train
    self._history = history
    self._path = os.path.join(params.model_dir, _NAME)

  def current(self) -> State:
    """Returns what holds from the latest checkpoint on.

    Raises:
      DataError: the file was damaged.
    """
    latest = checkpoint.find_latest(self._model_dir)
    step = checkpoint.step_of(latest) if latest else -1
    states = self._states()
    state = _at(states, step)
    if states and states[-1].step > step:
      state = state._replace(step=max(step, 0))
      why = (
        f'Training starts at step {state.step}, before the recovery at step '
        f'{states[-1].step}.'
      )
      _log.warning('%s It is undone (%s).', why, self._path)
      run_history.add_line(self._path, **state._asdict(), why=why)
    return state

  def recover(
    self, error: finite_loss.BlowUpError, batches: finite_loss.RecentBatches
  ) -> None:
    """Makes the next training start from the last good checkpoint.

    Args:
      error: why this one ended.
      batches: those that it had.

    Raises:
      BlowUpError: `error`, if there is no try left.
    """
    tries = self._settings.recover_from_blow_ups
    before = self.current()
    if before.recoveries >= tries:
      if tries:
        used = f'All {tries} tries of train.recover_from_blow_ups are used up.'
        error.args += (used,)
      raise error
    good = self._last_good(error)
    step = checkpoint.step_of(good)
    first = step + _at(self._states(), step).left_out
    last = error.step + before.left_out
    after = State(
      step,
      before.recoveries + 1,
      last + 1 - step,
      before.learning_rate_scale * self._settings.blow_up_learning_rate_factor,
    )
    run_history.add_line(
      self._path,
      **after._asdict(),
      why=error.args[0],
      blow_up_step=error.step + 1,
      loss=error.loss if np.isfinite(error.loss or np.nan) else None,
      first_batch=first,
      last_batch=last,
      image_ids={
        s + before.left_out: ids for s, ids in batches.since(step).items()
      },
    )
    # Last: if this is not reached, the loss blows up again.
    checkpoint_state.write(good, checkpoint_state.listed(self._model_dir))
    told = (
      f'{error.args[0]} Training goes back to step {step}, leaves out '
      f'{last + 1 - first} batches, and has learning rates times '
      f'{after.learning_rate_scale:g} from there on'
    )
    self._history.add(event='recovery', why=told)
    _log.warning('%s; tries left: %d.', told, tries - after.recoveries)

  def _last_good(self, error: finite_loss.BlowUpError) -> str:
    """Prefix of a checkpoint."""
    latest = checkpoint.find_latest(self._model_dir)
    step = checkpoint.step_of(latest)
    # This loss is all that is known of the weights that were just saved.
    if error.loss is None or step != error.step:
      return latest
    found = checkpoint.find_all(self._model_dir)
    older = [p for p in found if checkpoint.step_of(p) < step]
    return (older and checkpoint.find_whole(older[-1])[0]) or latest

  def _states(self) -> List[State]:
    """One a line."""
    if not tf.io.gfile.exists(self._path):
      return []
    kinds = State.__annotations__.items()
    try:
      lines = map(json.loads, files.read_text(self._path).splitlines())
      return [State(*(kind(line[k]) for k, kind in kinds)) for line in lines]
    except (ValueError, TypeError, KeyError) as error:
      raise errors.DataError(
        f"'{self._path}' is damaged ({error!r}). Mend it, or move it away: "
        'training then forgets its recoveries.'
      ) from error


def _at(states: List[State], step: int) -> State:
  """What holds at the checkpoint of a step."""
  return next((s for s in reversed(states) if s.step <= step), State())
