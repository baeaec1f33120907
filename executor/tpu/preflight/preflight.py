"""Checks of a run on a TPU without a TPU."""

from typing import Any, Dict, List, Optional

import rich.box
import rich.console
import rich.table

from executor import hardware as hardware_lib
from executor import partitioning, run_check
from executor.tpu.preflight import (
  background_check,
  core_memory,
  graph_checks,
  layout,
  tpu_graph,
)
from utils import errors

_MB, _GB = 2**20, 2**30
# Memory of a core of each kind of TPU (GB).
_CORE_MEMORY = {'v2': 8, 'v3': 16}


def run(
  params: Any,
  core_memory_gb: float = 16.0,
  console: Optional[rich.console.Console] = None,
  trains: bool = False,
  evaluates: bool = True,
) -> None:
  """Checks a config against a TPU that need not be there; prints tables.

  Builds the graphs of training and evaluation as `TPUEstimator` does; that of
  evaluation not if `platform.eval_master` says that this machine evaluates.

  Args:
    params: the whole config, with `use_tpu`.
    core_memory_gb: memory of a core; 8 of a v2, 16 of a v3.
    console: to print on.
    trains: whether a training follows, whose files have to be there.
    evaluates: whether that evaluates; if not, its batch of evaluation and where
      to evaluate do not matter.

  Raises:
    ConfigError: the config will not work; lists all reasons.
  """
  console = console or rich.console.Console(soft_wrap=True)
  found = layout.check_layout(params, evaluates)
  problems = list(found.problems)
  if trains:
    problems += _problem(lambda: run_check.check_model_dir(params))
    problems += _problem(
      lambda: run_check.check(params, trains=True, evaluates=evaluates)
    )
  console.print(_table('TPU layout', [('what', 'value'), *found.rows], 2))
  if evaluates and not trains:
    for text in _problem(lambda: run_check.check_evaluation_place(params)):
      console.print('Without evaluation only: ' + text)
  graph = _check_graphs(params, problems, console)
  if graph is not None:
    parts = core_memory.estimate(graph, partitioning.image_parts(params))
    console.print(_memory_table(parts))
    problems += _memory_problems(
      parts, graph.replica_batch_size, core_memory_gb
    )
  if problems:
    raise errors.ConfigError(
      'This would not work on a TPU:\n{}'.format(
        # The same may be found in training and in evaluation.
        '\n'.join('- ' + problem for problem in dict.fromkeys(problems))
      )
    )
  console.print('TPU preflight: ready.')


def _problem(check: Any) -> List[str]:
  """The message of a check, if it raises one."""
  try:
    check()
  except errors.UserError as error:
    return [str(error)]
  return []


def _check_graphs(
  params: Any, problems: List[str], console: rich.console.Console
) -> Optional[tpu_graph.TpuGraph]:
  """Checks all graphs, adds to `problems`; returns that of training."""
  if hardware_lib.evaluates_on_tpu(params):
    with background_check.check_beside(params, tpu_graph.EVAL) as report_beside:
      report, graph = graph_checks.check(params, tpu_graph.TRAIN)
      reports = [report, report_beside()]
  else:
    report, graph = graph_checks.check(params, tpu_graph.TRAIN)
    reports = [report]
  rows = [('mode', 'operations', 'images', 'no kernel', 'no shape', 'seconds')]
  for report in reports:
    if report.num_operations is None:
      rows.append((report.mode, 'cannot be built', '', '', '', ''))
      # Whatever the layout says about it is said there, once.
      keys = {problem.split(':')[0] for problem in problems}
      problems += [p for p in report.problems if p.split(':')[0] not in keys]
      continue
    rows.append(
      (
        report.mode,
        str(report.num_operations),
        str(report.replica_batch_size),
        str(report.num_without_kernel),
        str(report.num_without_shape),
        f'{report.seconds:.1f}',
      )
    )
    problems += report.problems
  title = 'Graphs of one replica, as TPUEstimator builds them'
  console.print(_table(title, rows))
  return graph


def _memory_table(parts: Dict[str, int]) -> rich.table.Table:
  rows = [('part', 'MB')]
  for part, size in [*parts.items(), ('all', sum(parts.values()))]:
    rows.append((part, f'{size / _MB:.1f}'))
  table = _table('Memory of a core in training, estimate', rows)
  table.caption = ', '.join(
    f'{sum(parts.values()) / (size * _GB):.0%} of the {size} GB of a {kind} '
    'core'
    for kind, size in _CORE_MEMORY.items()
  )
  return table


def _memory_problems(
  parts: Dict[str, int], batch_size: int, core_memory_gb: float
) -> List[str]:
  total = sum(parts.values())
  if total <= core_memory_gb * _GB:
    return []
  largest = max(parts, key=parts.get)
  return [
    f'train.train_batch_size: {batch_size} images on a replica need about '
    f'{total / _GB:.1f} GB of each core, which has {core_memory_gb:g} '
    f'(--core_memory_gb); {largest} alone {parts[largest] / _GB:.1f}. Lower '
    'the batch, compute it in parts (train.gradient_accumulation_steps), give '
    'more cores (--num_cores), part the images (train.num_cores_per_replica), '
    'or use a TPU with more memory.'
  ]


def _table(title: str, rows: Any, text_columns: int = 1) -> rich.table.Table:
  """A table whose first row names the columns."""
  table = rich.table.Table(
    title=title, title_justify='left', box=rich.box.SIMPLE
  )
  for i, column in enumerate(rows[0]):
    table.add_column(column, justify='left' if i < text_columns else 'right')
  for row in rows[1:]:
    table.add_row(*row)
  return table
