"""Trace of some training steps: for Chrome, and as a table of ops."""

import collections
import json
import logging
import os
import re
from typing import Any, Dict, List, Tuple

import rich.text
import tensorflow.compat.v1 as tf
from tensorflow.python.client import timeline

from evaluation import report
from utils import errors, files

_log = logging.getLogger(__name__)

_NUM_SHOWN, _MAX_STEPS = 20, 100
_STREAMS = '/stream:all'


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
  match = re.fullmatch(r'(\d+),(\d+)', text)
  first, last = map(int, match.groups()) if match else (0, 0)
  total = params.train.total_steps
  if not start_step < first <= last <= min(total, first + _MAX_STEPS - 1):
    raise errors.ConfigError(
      f'{flag}: give the first and the last step to trace, at most '
      f'{_MAX_STEPS}, of those that this run does, {start_step + 1} to '
      f'{total}; for example --profile_steps={min(start_step + 3, total)},'
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
    self._spent: Any = collections.Counter()

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
    trace = timeline.Timeline(stats).generate_chrome_trace_format()
    path = os.path.join(self._model_dir, f'trace_{self._step}.json')
    files.write_text(path, trace)
    _log.info("'%s' opens in ui.perfetto.dev and chrome://tracing.", path)
    self._add(json.loads(trace)['traceEvents'])
    if self._step == self._last:
      self._print()

  def _add(self, events: List[Dict[str, Any]]) -> None:
    devices = {e['pid']: e['args']['name'] for e in events if e['ph'] == 'M'}
    for event in events:
      # What prefetches data is no op.
      if event['ph'] != 'X' or event['name'] == 'unknown':
        continue
      device = devices[event['pid']]
      # Kernels of a GPU are in its streams, beside the calls that start them.
      if 'GPU' not in device or _STREAMS in device:
        name = event['args'].get('name', event['name'])
        self._spent[name, event['name']] += event['dur'] / 1000

  def _print(self) -> None:
    total = sum(self._spent.values())
    dearest = self._spent.most_common(_NUM_SHOWN)
    table = report.table_of(
      f'The {len(dearest)} dearest of {len(self._spent)} ops, steps '
      f'{self._first} to {self._last}',
      ['op', 'type'],
      ['ms', 'share'],
    )
    for (name, kind), ms in dearest:
      table.add_row(
        rich.text.Text(name), kind, f'{ms:.1f}', f'{ms / total:.1%}'
      )
    report.default_console().print(table)
