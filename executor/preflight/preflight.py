"""All that can be known about a run on a TPU before there is one."""

import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

import rich.console

from configs import params_dict
from executor.preflight import (
  dtypes,
  host,
  layer_groups,
  layout,
  memory,
  static_shapes,
  tables,
  tpu_graph,
  xla_kernels,
)
from utils import errors

_GB = 2**30


def run(
  params: Any,
  core_memory_gb: float = 16.0,
  step_time_ms: Optional[float] = None,
  console: Optional[rich.console.Console] = None,
) -> None:
  """Checks a config against a TPU that need not be there; prints tables.

  Builds the graphs of training, evaluation and prediction as `TPUEstimator`
  does, and tries the input pipeline for ten seconds. A host that is too slow
  is reported, but is no error: this machine need not be the TPU's.

  Args:
    params: the whole config, with `use_tpu`.
    core_memory_gb: memory of a core; 8 of a v2, 16 of a v3.
    step_time_ms: measured length of a training step; None: an assumption.
    console: to print on.

  Raises:
    ConfigError: the config will not work; lists all reasons.
  """
  console = console or rich.console.Console(soft_wrap=True)
  found = layout.check_layout(params)
  problems = list(found.problems)
  console.print(tables.layout_table(found))
  graphs = _build(params, problems, console)
  if tpu_graph.TRAIN in graphs:
    graph = graphs[tpu_graph.TRAIN]
    problems += _check_memory(params, graph, core_memory_gb, console)
    problems += _check_host(params, graph, step_time_ms, console)
  if problems:
    raise errors.ConfigError(
      'This would not work on a TPU:\n{}'.format(
        # The same may be found in training and in evaluation.
        '\n'.join('- ' + problem for problem in dict.fromkeys(problems))
      )
    )
  console.print('TPU preflight: ready.')


def _build(
  params: Any, problems: List[str], console: rich.console.Console
) -> Dict[str, tpu_graph.TpuGraph]:
  """Builds and checks what can be built; adds to `problems`."""
  graphs: Dict[str, tpu_graph.TpuGraph] = {}
  rows = []
  for mode in tpu_graph.MODES:
    start = time.perf_counter()
    try:
      graph = tpu_graph.build(_only(params, mode), mode)
    except errors.UserError as error:
      rows.append(tables.GraphRow(mode, None, 0.0, 0, 0))
      # Whatever the layout says about it is said there, once.
      if not _is_known(error, problems):
        problems.append(str(error))
      continue
    graphs[mode] = graph
    kernels = xla_kernels.find_offenders(graph.operations)
    problems += _summaries(
      mode,
      [(o.op_type, o.reason, o.remedy, o.op_name, o.scope) for o in kernels],
    )
    shapes = static_shapes.find_offenders(graph.operations)
    problems += _summaries(
      mode,
      [
        (o.op_type, 'no static shape', o.remedy, o.op_name, o.scope)
        for o in shapes
      ],
    )
    seconds = time.perf_counter() - start
    rows.append(
      tables.GraphRow(mode, graph, seconds, len(kernels), len(shapes))
    )
  console.print(tables.graph_table(rows))
  return graphs


def _summaries(
  mode: str, offenders: Sequence[Tuple[str, str, str, str, str]]
) -> List[str]:
  """One message for all offenders with the same type, reason and remedy.

  Args:
    mode: of the graph.
    offenders: (type, reason, remedy, name, scope) of operations.
  """
  alike: Dict[Tuple[str, str, str], List[str]] = {}
  for op_type, reason, remedy, name, scope in offenders:
    alike.setdefault((op_type, reason, remedy), []).append(
      "'{}' (layer '{}')".format(name, scope) if scope else "'{}'".format(name)
    )
  return [
    '{}: {}, operation {}{} in {}: {}.'.format(
      remedy.split(':')[0],
      op_type,
      names[0],
      ' and {} more'.format(len(names) - 1) if names[1:] else '',
      mode,
      '; '.join([reason, *remedy.split(': ', 1)[1:]]),
    )
    for (op_type, reason, remedy), names in alike.items()
  ]


def _only(params: Any, mode: str) -> Any:
  """Params in which what other modes need is nothing to complain about."""
  any_batch = tpu_graph.CORES_PER_HOST * params.train.num_shards
  changes: Dict[str, Any] = {'eval': {'eval_batch_size': any_batch}}
  if mode != tpu_graph.TRAIN:
    # Images are parted in training alone.
    changes = {
      'train': {
        'train_batch_size': any_batch,
        'num_cores_per_replica': None,
        'input_partition_dims': None,
      }
    }
  changed = params_dict.ParamsDict(params.as_dict())
  changed.override(changes)
  return changed


def _is_known(error: errors.UserError, problems: List[str]) -> bool:
  """Whether a problem names the key that an error begins with."""
  key = str(error).split(':')[0]
  return any(problem.startswith(key + ':') for problem in problems)


def _groups(params: Any) -> layer_groups.LayerGroups:
  return layer_groups.LayerGroups(
    layout.padded_size(params)[0], params.architecture.min_level
  )


def _check_memory(
  params: Any,
  graph: tpu_graph.TpuGraph,
  core_memory_gb: float,
  console: rich.console.Console,
) -> List[str]:
  groups = _groups(params)
  dims = layout.image_partition_dims(params)
  needed = memory.estimate(graph, groups, dims)
  console.print(tables.memory_table(needed))
  console.print(tables.dtype_table(dtypes.count(graph, groups)))
  if needed.total <= core_memory_gb * _GB:
    return []
  largest = max(needed.rows, key=lambda row: row.total)
  return [
    'train.train_batch_size: {} images on a replica need about {:.1f} GB of '
    'each core, which has {:g} (--core_memory_gb); {} alone {:.1f}. Lower the '
    'batch, give more cores (--num_cores), part the images '
    '(train.num_cores_per_replica), or use a TPU with more memory.'.format(
      graph.replica_batch_size,
      needed.total / _GB,
      core_memory_gb,
      largest.group,
      largest.total / _GB,
    )
  ]


def _check_host(
  params: Any,
  graph: tpu_graph.TpuGraph,
  step_time_ms: Optional[float],
  console: rich.console.Console,
) -> List[str]:
  demand = host.demand(params, graph, step_time_ms)
  try:
    trial = host.try_input(params, graph.replica_batch_size)
  except errors.UserError as error:
    return [str(error)]
  console.print(tables.host_table(host.bytes_per_image(graph), demand, trial))
  return []
