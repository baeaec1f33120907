"""Warm start from a checkpoint, with a report of what was found.

Training on from a checkpoint of which nothing fits looks like training from
scratch, so a warm start that finds too little is an error here.
"""

import io
import logging
import re
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np
import rich.console
import rich.table
import tensorflow.compat.v1 as tf

from modeling import checkpoint as checkpoint_lib
from utils import errors

_log = logging.getLogger(__name__)

_NUM_EXAMPLES = 5


class RestoreReport(NamedTuple):
  """What a warm start found. Names are those of the graph's variables."""

  checkpoint: str
  loaded: Dict[str, str]  # graph name: checkpoint name
  skipped: List[str]
  shape_differs: Dict[str, Any]  # graph name: (graph shape, file shape)
  absent: List[str]
  outside_prefix: List[str]  # not looked for
  sizes: Dict[str, int]  # weights in each variable of the graph
  checkpoint_names: List[str]

  def share_of_parameters(self) -> float:
    """Share of all weights of the graph that were loaded, in [0, 1]."""
    total = sum(self.sizes.values())
    return sum(self.sizes[name] for name in self.loaded) / max(total, 1)

  def __str__(self) -> str:
    rows = [
      ('loaded', list(self.loaded)),
      ('skipped by regex', self.skipped),
      ('shape differs', list(self.shape_differs)),
      ('absent from checkpoint', self.absent),
      ('outside the prefix', self.outside_prefix),
    ]
    table = rich.table.Table(title='Warm start from ' + self.checkpoint)
    for column in ('', 'variables', 'parameters', 'examples'):
      table.add_column(column, overflow='fold')
    for title, names in rows:
      table.add_row(
        title,
        str(len(names)),
        f'{sum(self.sizes[name] for name in names):,}',
        ', '.join(names[:3]) + (', ...' if len(names) > 3 else ''),
      )
    stream = io.StringIO()
    console = rich.console.Console(file=stream, width=100)
    console.print(table)
    lines = [
      stream.getvalue().rstrip(),
      f'Loaded {self.share_of_parameters():.1%} of the parameters.',
    ]
    for name, (graph_shape, file_shape) in sorted(self.shape_differs.items()):
      lines.append(
        f'{name}: {graph_shape} here, {file_shape} in the checkpoint; starts '
        'afresh.'
      )
    return '\n'.join(lines)


def match_variables(
  checkpoint: str,
  variables: Sequence[tf.Variable],
  prefix: str = '',
  skip_variables_regex: str = '',
) -> RestoreReport:
  """Compares the graph's variables with a checkpoint's, by name and shape.

  Args:
    checkpoint: prefix of the checkpoint's files.
    variables: of the model; without global step and optimizer slots.
    prefix: what the graph's names have in front of the checkpoint's; only
      variables that start with it are looked for.
    skip_variables_regex: names (without prefix) that it matches at their
      start are left alone.
  """
  try:
    skip = re.compile(skip_variables_regex) if skip_variables_regex else None
  except re.error as error:
    raise errors.ConfigError(
      f'train.checkpoint.skip_variables_regex: {skip_variables_regex!r} is '
      f'not a regular expression: {error}.'
    ) from error
  checkpoint_lib.check_intact(checkpoint)
  shapes = dict(tf.train.list_variables(checkpoint))
  loaded, skipped, shape_differs, absent, sizes = {}, [], {}, [], {}
  outside_prefix = []
  for variable in variables:
    name = checkpoint_lib.name_of(variable)
    shape = variable.shape.as_list()
    sizes[name] = int(np.prod(shape))
    if not name.startswith(prefix):
      outside_prefix.append(name)
      continue
    file_name = name[len(prefix) :]
    if skip and skip.match(file_name):
      skipped.append(name)
    elif file_name not in shapes:
      absent.append(name)
    elif shapes[file_name] != shape:
      shape_differs[name] = (shape, shapes[file_name])
    else:
      loaded[name] = file_name
  return RestoreReport(
    checkpoint=checkpoint,
    loaded=loaded,
    skipped=skipped,
    shape_differs=shape_differs,
    absent=absent,
    outside_prefix=outside_prefix,
    sizes=sizes,
    checkpoint_names=sorted(shapes),
  )


def check_coverage(
  report: RestoreReport, backbone_scope: str, min_coverage: float
) -> None:
  """Raises UserError if too little of the backbone was found.

  Args:
    report: of `match_variables`.
    backbone_scope: variable scope of the backbone.
    min_coverage: least share of the backbone's variables, not counting those
      skipped on purpose but counting those outside the prefix, in [0, 1].
  """
  in_backbone = [
    name
    for name in report.sizes
    if name.startswith(backbone_scope + '/') and name not in report.skipped
  ]
  found = sum(name in report.loaded for name in in_backbone)
  if report.loaded and found >= min_coverage * len(in_backbone):
    return
  missing = [n for n in in_backbone if n not in report.loaded] or list(
    report.sizes
  )
  fitting = [
    f'With train.checkpoint.prefix={prefix!r} all of them are found'
    for prefix in ('', backbone_scope + '/')
    if {n[len(prefix) :] for n in in_backbone} <= set(report.checkpoint_names)
  ]
  raise errors.UserError(
    "train.checkpoint.path: '{}' has {} of the {} variables of the backbone "
    '({}), and {} of the model in all; at least {:.0%} of the backbone has to '
    'be found (train.checkpoint.min_coverage).\n'
    '  wanted, for example: {}\n'
    '  the checkpoint has:  {}\n'
    '{}, or choose the architecture that the checkpoint was trained '
    'with.'.format(
      report.checkpoint,
      found,
      len(in_backbone),
      backbone_scope,
      len(report.loaded),
      min_coverage,
      ', '.join(missing[:_NUM_EXAMPLES]),
      ', '.join(report.checkpoint_names[:_NUM_EXAMPLES]) or 'nothing',
      fitting[0]
      if in_backbone and fitting
      else 'Set train.checkpoint.prefix to what the names here have in front '
      f"of the checkpoint's (e.g. '{backbone_scope}/'; '' if they agree)",
    )
  )


def warm_start(
  path: str,
  prefix: str,
  skip_variables_regex: str,
  min_coverage: float,
  variables: Sequence[tf.Variable],
  backbone_scope: str,
) -> RestoreReport:
  """Makes the variables' initial values those of a checkpoint.

  Args as `resolve_checkpoint`, `match_variables` and `check_coverage`.
  """
  checkpoint = checkpoint_lib.resolve_checkpoint(path)
  report = match_variables(checkpoint, variables, prefix, skip_variables_regex)
  check_coverage(report, backbone_scope, min_coverage)
  _log.info('%s', report)
  if report.shape_differs and not any(
    name.startswith(backbone_scope + '/') for name in report.shape_differs
  ):
    _log.info(
      'Only layers outside the backbone differ in shape: the checkpoint has '
      'another number of classes, or another head.'
    )
  by_name = {
    checkpoint_lib.name_of(variable): variable for variable in variables
  }
  tf.train.init_from_checkpoint(
    checkpoint,
    {file_name: by_name[name] for name, file_name in report.loaded.items()},
  )
  return report
