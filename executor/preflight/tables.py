"""What a preflight found, as tables for a person."""

from typing import List

import rich.box
import rich.table

from executor.preflight import dtypes, graph_checks, host, layout, memory

_MB, _GB = 2**20, 2**30
_MAX_TYPES = 6  # types of operations that are named for each part


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


def memory_table(needed: memory.Memory) -> rich.table.Table:
  """Parameters (millions) and MB of each group; the sum against cores."""
  table = _table(
    'Memory of a core in training, MB (estimate; arrays padded to 8 x 128)',
    'layers',
    'million',
    'weights',
    'slots',
    'grads',
    'activ.',
    'sum',
  )
  for row in needed.rows:
    table.add_row(
      row.group,
      '{:.3f}'.format(row.num_parameters / 1e6),
      *(
        '{:.1f}'.format(size / _MB)
        for size in (
          row.weights,
          row.slots,
          row.gradients,
          row.activations,
          row.total,
        )
      ),
    )
  table.add_row('infeed', *[''] * 5, '{:.1f}'.format(needed.infeed / _MB))
  sums = [
    sum(getattr(row, column) for row in needed.rows) / _MB
    for column in ('weights', 'slots', 'gradients', 'activations')
  ]
  table.add_row(
    'all',
    '{:.3f}'.format(needed.num_parameters / 1e6),
    *('{:.1f}'.format(size) for size in [*sums, needed.total / _MB]),
  )
  table.caption = ', '.join(
    '{:.0%} of the {:.0f} GB of a {} core'.format(
      needed.total / size, size / _GB, kind
    )
    for kind, size in memory.CORE_MEMORY.items()
  )
  return table


def dtype_table(parts: List[dtypes.Part]) -> rich.table.Table:
  table = rich.table.Table(
    title='Precision of the forward pass, operations',
    title_justify='left',
    box=rich.box.SIMPLE,
  )
  table.add_column('part')
  table.add_column('bfloat16', justify='right')
  table.add_column('float32', justify='right')
  table.add_column('which stay float32')
  for part in parts:
    named = list(part.float32_types.items())
    text = ', '.join('{} {}'.format(n, kind) for kind, n in named[:_MAX_TYPES])
    if named[_MAX_TYPES:]:
      text += ', and {} more'.format(sum(n for _, n in named[_MAX_TYPES:]))
    table.add_row(
      part.name, str(part.num_bfloat16), str(part.num_float32), text
    )
  return table


def host_table(
  bytes_per_image: float, demand: host.Demand, trial: host.Trial
) -> rich.table.Table:
  """What the cores take against what this machine reads."""
  table = _table('Host', 'what', 'value', text_columns=2)
  enough = trial.images_per_second >= demand.images_per_second
  per_cpu = trial.images_per_second / trial.num_cpus
  for row in (
    (
      'infeed of an image',
      '{:.2f} MB with its labels'.format(bytes_per_image / _MB),
    ),
    ('step', '{:.3g} ms ({})'.format(demand.step_ms, demand.source)),
    (
      'all cores take',
      '{:.1f} images/s, {:.2f} GB/s over the infeeds'.format(
        demand.images_per_second,
        demand.images_per_second * bytes_per_image / _GB,
      ),
    ),
    (
      'this machine reads',
      '{:.1f} images/s with {} CPUs ({})'.format(
        trial.images_per_second, trial.num_cpus, trial.note
      ),
    ),
    (
      'verdict',
      'fast enough'
      if enough
      else 'too slow for all cores: it takes about {:.0f} CPUs like these, '
      'over all hosts'.format(demand.images_per_second / per_cpu),
    ),
  ):
    table.add_row(*row)
  return table
