"""Metrics of an evaluation: on the console, as a file and for TensorBoard."""

import collections
import datetime
import json
import math
import os
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional

import rich.box
import rich.console
import rich.table
import rich.text
import tensorflow.compat.v1 as tf
from PIL import Image

from evaluation import (
  classification_evaluator,
  coco_metrics,
  segmentation_evaluator,
)
from utils import drawing, errors, files

_MASK_PREFIX = 'mask_'
_PLAIN_WIDTH = 110
# Of the table of classes, and of a class those that it is taken for.
_MAX_CLASSES, _MAX_CONFUSED = 20, 3
# Of a metric, above which TensorBoard would drown in charts.
_MAX_CLASS_SCALARS = 100
# Tables by key, with what they count.
_CONFUSIONS = {
  classification_evaluator.CONFUSION: 'images',
  segmentation_evaluator.CONFUSION: 'pixels',
}
_HISTORY = 'history.json'
TIME_FORMAT = '%Y-%m-%dT%H:%M:%SZ'


class _Row(NamedTuple):
  """How a metric is computed, as the table shows it."""

  kind: str
  iou: str
  area: str
  max_detections: int


METRIC_ROWS = {
  'AP': _Row('precision', '0.50:0.95', 'all', 100),
  'AP50': _Row('precision', '0.50', 'all', 100),
  'AP75': _Row('precision', '0.75', 'all', 100),
  'APs': _Row('precision', '0.50:0.95', 'small', 100),
  'APm': _Row('precision', '0.50:0.95', 'medium', 100),
  'APl': _Row('precision', '0.50:0.95', 'large', 100),
  'ARmax1': _Row('recall', '0.50:0.95', 'all', 1),
  'ARmax10': _Row('recall', '0.50:0.95', 'all', 10),
  'ARmax100': _Row('recall', '0.50:0.95', 'all', 100),
  'ARs': _Row('recall', '0.50:0.95', 'small', 100),
  'ARm': _Row('recall', '0.50:0.95', 'medium', 100),
  'ARl': _Row('recall', '0.50:0.95', 'large', 100),
}
_CLASS_COLUMNS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'ARmax100')


def now() -> str:
  """Returns the time, in UTC."""
  return datetime.datetime.utcnow().strftime(TIME_FORMAT)


def write_metrics(
  directory: str,
  metrics: Mapping[str, Any],
  step: int,
  checkpoint_path: str = '',
  pictures: Optional[Mapping[str, Image.Image]] = None,
  class_scores: Optional[Mapping[str, float]] = None,
) -> None:
  """Writes `metrics.json`, `history.json` and what TensorBoard shows.

  Args:
    directory: where to write; made if needed. `metrics.json` holds the last
      evaluation, the others are added to.
    metrics: metrics and losses by name, which is also the scalar's tag; and
      tables, dicts, which go into `metrics.json` alone. A metric of more than
      100 classes becomes no scalars.
    step: of the checkpoint.
    checkpoint_path: what was evaluated. It stands in `metrics.json` beside
      `step` and the metrics; a number that is not finite stands as null.
    pictures: for TensorBoard alone, by tag.
    class_scores: likewise.
  """
  tf.io.gfile.makedirs(directory)
  about: Dict[str, Any] = {'step': int(step), 'checkpoint': checkpoint_path}
  tables = {k: v for k, v in metrics.items() if isinstance(v, dict)}
  scalars = {k: float(v) for k, v in metrics.items() if k not in tables}
  values = {
    name: value if math.isfinite(value) else None
    for name, value in scalars.items()
  }
  files.write_json(
    os.path.join(directory, 'metrics.json'),
    {**about, **values, **tables},
    indent=2,
  )
  history = read_history(directory)
  history.append({**about, 'time': now(), 'metrics': values})
  files.write_json(os.path.join(directory, _HISTORY), history, indent=1)

  summary = tf.Summary()
  scalars.update(class_scores or {})
  num_classes = collections.Counter(map(_class_metric, scalars))
  del num_classes[None]
  for name, value in scalars.items():
    if num_classes[_class_metric(name)] <= _MAX_CLASS_SCALARS:
      summary.value.add(tag=name, simple_value=value)
  for tag, picture in (pictures or {}).items():
    image = tf.Summary.Image(
      height=picture.height,
      width=picture.width,
      colorspace=3,
      encoded_image_string=drawing.encoded_jpeg(picture, quality=90),
    )
    summary.value.add(tag=tag, image=image)
  # The names of event files have seconds only, evaluations may be closer.
  writer = tf.summary.FileWriter(directory, filename_suffix=f'.step-{step}')
  writer.add_summary(summary, step)
  writer.close()


def read_history(directory: str) -> List[Dict[str, Any]]:
  """Returns the evaluations in a directory, in the order that they were made.

  Each has the keys `step`, `checkpoint`, `time` (UTC, `TIME_FORMAT`) and
  `metrics`, a dict as in `metrics.json`.

  Raises:
    errors.DataError: `history.json` is damaged.
  """
  path = os.path.join(directory, _HISTORY)
  if not tf.io.gfile.exists(path):
    return []
  try:
    return [
      {key: entry[key] for key in ('step', 'checkpoint', 'time', 'metrics')}
      for entry in json.loads(files.read_text(path))
    ]
  except (ValueError, TypeError, KeyError) as error:
    raise errors.DataError(
      f"'{path}' is damaged ({error!r}). Move it away; evaluations start a "
      'new one.'
    ) from error


def default_console() -> rich.console.Console:
  """Returns one for standard output that cuts nothing off in a file."""
  console = rich.console.Console()
  if console.is_terminal:
    return console
  return rich.console.Console(width=_PLAIN_WIDTH)


def table_of(
  title: str, texts: Iterable[str], numbers: Iterable[str]
) -> rich.table.Table:
  """Returns a table without rows; of columns, those of texts come first."""
  table = rich.table.Table(
    title=rich.text.Text(title), title_justify='left', box=rich.box.SIMPLE_HEAD
  )
  for name in texts:
    table.add_column(name, overflow='fold')
  for name in numbers:
    table.add_column(name, justify='right')
  return table


def print_metrics(
  metrics: Mapping[str, Any],
  step: Optional[int],
  checkpoint_path: str = '',
  console: Optional[rich.console.Console] = None,
) -> None:
  """Prints tables of the metrics over all classes and, if known, of each.

  Args:
    metrics: metrics and losses by name, and tables.
    step: of the checkpoint; None if what was evaluated has none.
    checkpoint_path: what was evaluated.
    console: where to print; standard output by default.
  """
  console = console or default_console()
  subject = [] if step is None else [f'step {step}']
  if checkpoint_path:
    subject.append(os.path.basename(checkpoint_path))
  title = 'Evaluation of ' + ', '.join(subject)
  overall = _overall_table(metrics, title)
  if overall.row_count:
    console.print(overall)
  for prefix, name in (('', 'boxes'), (_MASK_PREFIX, 'masks')):
    table = _class_table(metrics, prefix, f'Classes, {name}')
    if table.row_count:
      console.print(table)
  for key, counted in _CONFUSIONS.items():
    if metrics.get(key):
      console.print(_confusion_table(metrics, key, counted, title))
  others = {
    name: value for name, value in metrics.items() if not _is_in_table(name)
  }
  if others:
    console.print(
      ', '.join(
        f'{loss_label(name)} {value:.5g}' for name, value in others.items()
      ),
      soft_wrap=True,
      markup=False,
      highlight=False,
    )


def print_beside(
  best: Mapping[str, Any], best_step: int, last: Mapping[str, Any], step: int
) -> None:
  """Prints metrics over all classes of the best checkpoint and of the last.

  Args:
    best: metrics by name; those that were not finite are None.
    best_step: of the best checkpoint.
    last: metrics of the last checkpoint.
    step: of the last.
  """
  columns = f'best, step {best_step}', f'last, step {step}'
  table = table_of('The best checkpoint and the last', ['metric'], columns)
  for name in last:
    if _class_metric(name) is None:
      table.add_row(loss_label(name), _shown(best, name), _shown(last, name))
  default_console().print(table)


def loss_label(name: str) -> str:
  """A loss as people see it; that of boxes has a weight in the sum."""
  return name + ' (unweighted)' if name == 'box_loss' else name


def _overall_table(metrics, title) -> rich.table.Table:
  prefixes = [p for p in ('', _MASK_PREFIX) if p + 'AP' in metrics]
  kinds = ['masks' if prefix else 'boxes' for prefix in prefixes]
  texts = ['metric', 'average', 'IoU', 'area']
  table = table_of(title, texts, ['detections', *kinds])
  for name, row in METRIC_ROWS.items():
    if prefixes:
      table.add_row(
        name,
        row.kind,
        row.iou,
        row.area,
        str(row.max_detections),
        *(_shown(metrics, prefix + name) for prefix in prefixes),
      )
  return table


def _class_table(metrics, prefix, title) -> rich.table.Table:
  table = table_of(title, ['class'], ['objects', *_CLASS_COLUMNS])
  first = prefix + coco_metrics.CATEGORY_METRICS['AP']
  for key in metrics:
    if key.startswith(first):
      name = key[len(first) :]
      keys = [
        prefix + coco_metrics.CATEGORY_METRICS[column] + name
        for column in _CLASS_COLUMNS
      ]
      table.add_row(
        rich.text.Text(name),
        '{:.0f}'.format(metrics[prefix + coco_metrics.CATEGORY_OBJECTS + name]),
        *(_shown(metrics, key) for key in keys),
      )
  return table


def _confusion_table(metrics, key, counted, title) -> rich.table.Table:
  """The classes that are known worst, and what they are taken for."""
  confusion, ious = metrics[key], segmentation_evaluator.CATEGORY_IOU
  correct = {name: row.get(name, 0) for name, row in confusion.items()}
  totals = {name: sum(row.values()) for name, row in confusion.items()}
  worst = sorted(totals, key=lambda name: correct[name] / totals[name])
  if len(worst) > _MAX_CLASSES:
    title += f', the {_MAX_CLASSES} worst of {len(worst)} classes'
  has_iou = counted == 'pixels'
  columns = ['accuracy', 'IoU'] if has_iou else ['accuracy']
  table = table_of(title, ['class'], [counted, *columns])
  table.add_column('taken for', overflow='fold')
  for name in worst[:_MAX_CLASSES]:
    wrong = collections.Counter(confusion[name])
    del wrong[name]
    table.add_row(
      rich.text.Text(name),
      str(totals[name]),
      f'{correct[name] / totals[name]:.3f}',
      *([_shown(metrics, ious + name)] if has_iou else []),
      rich.text.Text(
        ', '.join(
          f'{other} {count}'
          for other, count in wrong.most_common(_MAX_CONFUSED)
        )
      ),
    )
  return table


def _shown(metrics, key) -> str:
  value = metrics.get(key, -1)
  # In `best.json` what was not finite is null.
  value = math.nan if value is None else value
  # COCO's -1 means that there is nothing to average over.
  return '-' if value == -1 else f'{value:.3f}'


def _is_in_table(name: str) -> bool:
  if name in _CONFUSIONS or _class_metric(name):
    return True
  if name.startswith(_MASK_PREFIX):
    name = name[len(_MASK_PREFIX) :]
  return name in METRIC_ROWS


def _class_metric(name: str) -> Optional[str]:
  """What a class's metric is called in front of the class; None of others."""
  for metric in (
    *coco_metrics.CATEGORY_METRICS.values(),
    coco_metrics.CATEGORY_OBJECTS,
    classification_evaluator.CATEGORY_ACCURACY,
    segmentation_evaluator.CATEGORY_IOU,
  ):
    for prefix in (metric, _MASK_PREFIX + metric):
      if name.startswith(prefix):
        return prefix
  return None
