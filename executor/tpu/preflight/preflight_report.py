"""What a preflight found, as tables for a person."""

from typing import List

import rich.box
import rich.table

from executor.tpu.preflight import graph_checks, hbm_estimate, layout

_MB, _GB = 2**20, 2**30


def _table(
  title: str, *columns: str, text_columns: int = 1
) -> rich.table.Table:
  table = rich.table.Table(
    title=title, title_justify='left', box=rich.box.SIMPLE
  )
  for i, column in enumerate(columns):
    table.add_column(column, justify='left' if i < text_columns else 'right')
  return table


def layout_table(found: layout.Layout) -> rich.table.Table:
  table = _table('TPU layout', 'what', 'value', text_columns=2)
  for row in found.rows:
    table.add_row(*row)
  return table


def graph_table(
  reports: List[graph_checks.GraphReport],
) -> rich.table.Table:
  table = _table(
    'Graphs of one replica, as TPUEstimator builds them',
    'mode',
    'operations',
    'images',
    'no kernel',
    'no shape',
    'seconds',
  )
  for report in reports:
    if report.num_operations is None:
      table.add_row(report.mode, 'cannot be built', '', '', '', '')
      continue
    table.add_row(
      report.mode,
      str(report.num_operations),
      str(report.replica_batch_size),
      str(report.num_without_kernel),
      str(report.num_without_shape),
      '{:.1f}'.format(report.seconds),
    )
  return table


def memory_table(needed: hbm_estimate.Memory) -> rich.table.Table:
  table = _table('Memory of a core in training, estimate', 'part', 'MB')
  for part, size in needed.parts.items():
    table.add_row(part, '{:.1f}'.format(size / _MB))
  table.add_row('all', '{:.1f}'.format(needed.total / _MB))
  table.caption = ', '.join(
    '{:.0%} of the {:.0f} GB of a {} core'.format(
      needed.total / size, size / _GB, kind
    )
    for kind, size in hbm_estimate.CORE_MEMORY.items()
  )
  return table
