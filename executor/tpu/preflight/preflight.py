"""All that can be known about a run on a TPU before there is one."""

from typing import Any, List, Optional

import rich.console

from executor import hardware as hardware_lib
from executor import partitioning, run_check
from executor.tpu.preflight import (
  background_check,
  graph_checks,
  hbm_estimate,
  layout,
  preflight_report,
  tpu_graph,
)
from utils import errors

_GB = 2**30


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
    problems += _check_run(params, evaluates)
  console.print(preflight_report.layout_table(found))
  if evaluates and not trains:
    _note_evaluation_place(params, console)
  graph = None
  if found.num_replicas is not None:
    graph = _check_graphs(params, problems, console)
  if graph is not None:
    problems += _check_memory(params, graph, core_memory_gb, console)
  if problems:
    raise errors.ConfigError(
      'This would not work on a TPU:\n{}'.format(
        # The same may be found in training and in evaluation.
        '\n'.join('- ' + problem for problem in dict.fromkeys(problems))
      )
    )
  console.print('TPU preflight: ready.')


def _note_evaluation_place(params: Any, console: rich.console.Console) -> None:
  """Says so if only a training without evaluation would work."""
  try:
    hardware_lib.check_evaluation_place(params)
  except errors.ConfigError as error:
    console.print('Without evaluation only: {}'.format(error))


def _check_run(params: Any, evaluates: bool) -> List[str]:
  try:
    run_check.check(params, trains=True, evaluates=evaluates)
  except errors.UserError as error:
    return [str(error)]
  return []


def _check_graphs(
  params: Any, problems: List[str], console: rich.console.Console
) -> Optional[tpu_graph.TpuGraph]:
  """Checks all graphs, adds to `problems`; returns that of training."""
  if hardware_lib.evaluates_on_tpu(params):
    with background_check.CheckBeside(params, tpu_graph.EVAL) as beside:
      report, graph = graph_checks.check(params, tpu_graph.TRAIN)
      reports = [report, beside.report()]
  else:
    report, graph = graph_checks.check(params, tpu_graph.TRAIN)
    reports = [report]
  console.print(preflight_report.graph_table(reports))
  for report in reports:
    # Whatever the layout says about it is said there, once.
    problems += [
      problem
      for problem in report.problems
      if report.num_operations is not None or not _is_known(problem, problems)
    ]
  return graph


def _is_known(message: str, problems: List[str]) -> bool:
  """Whether a problem names the key that a message begins with."""
  key = message.split(':')[0]
  return any(problem.startswith(key + ':') for problem in problems)


def _check_memory(
  params: Any,
  graph: tpu_graph.TpuGraph,
  core_memory_gb: float,
  console: rich.console.Console,
) -> List[str]:
  needed = hbm_estimate.estimate(graph, partitioning.image_parts(params))
  console.print(preflight_report.memory_table(needed))
  if needed.total <= core_memory_gb * _GB:
    return []
  largest = max(needed.parts, key=needed.parts.get)
  return [
    'train.train_batch_size: {} images on a replica need about {:.1f} GB of '
    'each core, which has {:g} (--core_memory_gb); {} alone {:.1f}. Lower the '
    'batch, compute it in parts (train.gradient_accumulation_steps), give more '
    'cores (--num_cores), part the images (train.num_cores_per_replica), or '
    'use a TPU with more memory.'.format(
      graph.replica_batch_size,
      needed.total / _GB,
      core_memory_gb,
      largest,
      needed.parts[largest] / _GB,
    )
  ]
