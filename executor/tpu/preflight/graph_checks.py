"""Builds a graph of one replica and looks for what a TPU cannot run."""

import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from executor.tpu.preflight import layout, static_shapes, tpu_graph, xla_kernels
from utils import errors


class GraphReport(NamedTuple):
  """What was found in the graph of one mode.

  Attributes:
    mode: of the graph.
    num_operations: inside the computation of a replica; None: the graph cannot
      be built.
    replica_batch_size: images of a step of one replica.
    seconds: to build and check it.
    num_without_kernel: operations that XLA cannot compile.
    num_without_shape: tensors without a static shape.
    problems: messages, each with the layer.
  """

  mode: str
  num_operations: Optional[int]
  replica_batch_size: int
  seconds: float
  num_without_kernel: int
  num_without_shape: int
  problems: List[str]


def check(
  params: Any, mode: str
) -> Tuple[GraphReport, Optional[tpu_graph.TpuGraph]]:
  """Builds and checks the graph of one mode.

  Batches that do not divide, which `layout` is about, are made smaller.

  Args:
    params: the whole config, with `use_tpu`.
    mode: one of `tpu_graph.MODES`.

  Returns:
    What was found, and the graph, None if it cannot be built.
  """
  start = time.perf_counter()
  try:
    params = layout.with_batches_that_divide(params)
    graph = tpu_graph.build(params, mode)
  except errors.UserError as error:
    return GraphReport(mode, None, 0, 0.0, 0, 0, [str(error)]), None
  kernels = xla_kernels.find_offenders(graph.operations)
  shapes = static_shapes.find_offenders(graph.operations)
  problems = _summaries(
    mode,
    [(o.op_type, o.reason, o.op_name, o.scope) for o in kernels]
    + [(o.op_type, 'no static shape', o.op_name, o.scope) for o in shapes],
  )
  return GraphReport(
    mode,
    len(graph.operations),
    graph.replica_batch_size,
    time.perf_counter() - start,
    len(kernels),
    len(shapes),
    problems,
  ), graph


def _summaries(
  mode: str, offenders: Sequence[Tuple[str, str, str, str]]
) -> List[str]:
  """One message for all offenders with the same type and reason.

  Args:
    mode: of the graph.
    offenders: (type, reason, name, scope) of operations.
  """
  alike: Dict[Tuple[str, str], List[str]] = {}
  for op_type, reason, name, scope in offenders:
    alike.setdefault((op_type, reason), []).append(
      "'{}' (layer '{}')".format(name, scope) if scope else "'{}'".format(name)
    )
  return [
    '{} in {}, operation {}{}: {}. Change what makes this layer.'.format(
      op_type,
      mode,
      names[0],
      ' and {} more'.format(len(names) - 1) if names[1:] else '',
      reason,
    )
    for (op_type, reason), names in alike.items()
  ]
