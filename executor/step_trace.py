"""Trace of some training steps: for Chrome, and as a table of ops."""

import collections
import logging
import os
from typing import Any, Dict, Optional, Tuple

import rich.box
import rich.console
import rich.table
import rich.text
import tensorflow.compat.v1 as tf
from tensorflow.python.client import timeline

from utils import errors, files

_log = logging.getLogger(__name__)

_NUM_SHOWN, _MAX_STEPS = 20, 100
_PLAIN_WIDTH = 110
# Kernels of a GPU are in its streams, beside the calls that start them.
_STREAMS, _GPU = '/stream:all', '/device:GPU'


def parse(
  text: str, params: Any, start_step: int, trains: bool
) -> Tuple[int, int]:
  """Returns the first and the last step of the flag --profile_steps.

  Args:
    text: 'A,B', as progress counts steps.
    params: the whole config.
    start_step: where the run starts or goes on.
    trains: whether the run trains.

  Raises:
    ConfigError: the run cannot trace them.
  """
  flag = f'--profile_steps={text}'
  if not trains:
    raise errors.ConfigError(f'{flag} is for a run that trains.')
  if params.use_tpu:
    raise errors.ConfigError(
      f'{flag} is not for a TPU, which runs many steps at a time. Use '
      "capture_tpu_profile of Google's package cloud-tpu-profiler."
    )
  first, _, last = text.partition(',')
  total = params.train.total_steps
  try:
    first, last = int(first), int(last)
  except ValueError:
    first, last = 0, 0
  if not start_step < first <= last <= min(total, first + _MAX_STEPS - 1):
    raise errors.ConfigError(
      f'{flag}: wanted are the first and the last of {_MAX_STEPS} steps at '
      f'most, between {start_step + 1} and {total}, where this run starts and '
      f'ends (train.total_steps). Use, for example, '
      f'--profile_steps={min(start_step + 3, total)},'
      f'{min(start_step + 4, total)}.'
    )
  return first, last


class TraceHook(tf.train.SessionRunHook):
  """Writes `model_dir/trace_STEP.json` of steps, and prints the dearest ops.

  Args:
    steps: the first and the last one.
    model_dir: where to write.
  """

  def __init__(self, steps: Tuple[int, int], model_dir: str):
    self._first, self._last = steps
    self._model_dir = model_dir
    self._step = 0
    # Milliseconds by name and type of an op.
    self._spent: Dict[Tuple[str, str], float] = collections.Counter()

  def after_create_session(self, session, coord):
    self._step = int(session.run(tf.train.get_global_step(session.graph)))

  def before_run(self, run_context):
    self._step += 1
    if not self._first <= self._step <= self._last:
      return None
    return tf.train.SessionRunArgs(
      None, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    )

  def after_run(self, run_context, run_values):
    if not self._first <= self._step <= self._last:
      return
    stats = run_values.run_metadata.step_stats
    path = os.path.join(self._model_dir, f'trace_{self._step}.json')
    files.write_text(
      path, timeline.Timeline(stats).generate_chrome_trace_format()
    )
    _log.info("'%s' opens in chrome://tracing and ui.perfetto.dev.", path)
    self._add(stats)
    if self._step == self._last:
      _print(self._spent, f'steps {self._first} to {self._last}')

  def _add(self, stats: Any) -> None:
    for device in stats.dev_stats:
      if _GPU in device.device and not device.device.endswith(_STREAMS):
        continue
      for node in device.node_stats:
        kind = _type_of(node)
        if kind:
          name = node.node_name.partition(':')[0]
          self._spent[name, kind] += node.all_end_rel_micros / 1000


def _type_of(node: Any) -> Optional[str]:
  """The type in the label of an op, 'NAME = TYPE(INPUTS)'; None of others."""
  _, is_op, rest = node.timeline_label.partition(' = ')
  return rest.partition('(')[0] if is_op else None


def _print(spent: Dict[Tuple[str, str], float], steps: str) -> None:
  total = sum(spent.values())
  dearest = sorted(spent.items(), key=lambda item: -item[1])[:_NUM_SHOWN]
  table = rich.table.Table(
    title=f'The {len(dearest)} dearest of {len(spent)} ops in {steps}',
    title_justify='left',
    box=rich.box.SIMPLE_HEAD,
  )
  table.add_column('op', overflow='fold')
  table.add_column('type', overflow='fold')
  for column in ('ms', 'share'):
    table.add_column(column, justify='right')
  for (name, kind), ms in dearest:
    table.add_row(rich.text.Text(name), kind, f'{ms:.1f}', f'{ms / total:.1%}')
  console = rich.console.Console()
  if not console.is_terminal:
    console = rich.console.Console(width=_PLAIN_WIDTH)
  console.print(table)
