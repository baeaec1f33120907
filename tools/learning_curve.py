"""Loss, learning rate and metrics over the steps of a training, drawn."""

import collections
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from matplotlib import figure

from evaluation import report
from utils import errors, files

_LOSS, _LEARNING_RATE = 'loss', 'learning_rate'
_MODEL_LOSS = 'model_loss'
# Drawn only where their parts are absent.
_SUMS = (_LOSS, _MODEL_LOSS, 'total_loss')
# Part of the total, but of no other sum.
_WEIGHT_DECAY = 'l2_regularization_loss'
_METRICS = ('AP', 'AP50', 'AP75', 'top_1_accuracy', 'top_5_accuracy')
_SMOOTHED_SHARE = 50  # a running mean covers 1/50 of the points


class Curve(NamedTuple):
  """One scalar over training; steps rise, each occurs once."""

  steps: np.ndarray  # int [n]
  values: np.ndarray  # float [n]


def read_scalars(directory: str) -> Dict[str, Curve]:
  """Reads the scalars of the TensorBoard event files in a directory.

  Where a resumed training repeats steps, the later values count. A file that
  is still being written is read as far as it goes.

  Args:
    directory: local or remote; folders in it are not searched.

  Returns:
    Curves by tag; none if there are no event files.
  """
  points = collections.defaultdict(dict)
  paths = tf.io.gfile.glob(os.path.join(directory, '*tfevents*'))
  events = [event for path in paths for event in _events(path)]
  for event in sorted(events, key=lambda event: event.wall_time):
    for value in event.summary.value:
      number = _scalar(value)
      if number is not None:
        points[value.tag][event.step] = number
  return {
    tag: Curve(*map(np.array, zip(*sorted(of_tag.items()))))
    for tag, of_tag in points.items()
  }


def plot_learning_curve(model_dir: str, output: str) -> List[str]:
  """Draws the curves of a model directory.

  Args:
    model_dir: directory of a training. Metrics come from its folders `eval*`.
    output: path of the picture; its ending (.png, .svg, .pdf) is the format.

  Returns:
    Tags of the curves that the picture shows.

  Raises:
    errors.DataError: the directory holds no loss.
    errors.UserError: the picture cannot be written.
  """
  exists = tf.io.gfile.isdir(model_dir)
  training = read_scalars(model_dir) if exists else {}
  losses = sorted(tag for tag in training if tag.endswith('loss'))
  parts = [tag for tag in losses if tag not in _SUMS]
  if parts == [_WEIGHT_DECAY] and _MODEL_LOSS in losses:
    parts.append(_MODEL_LOSS)
  if not losses:
    raise errors.DataError(
      "model_dir '{}' holds no event file with a loss; scalars: {}. Give the "
      'model_dir of a training.'.format(
        model_dir, ', '.join(sorted(training)) or 'none'
      )
    )
  panels = [
    ('loss', 'log', {tag: training[tag] for tag in parts or losses[:1]}),
    (
      'learning rate',
      'linear',
      {tag: training[tag] for tag in (_LEARNING_RATE,) if tag in training},
    ),
    ('metrics', 'linear', _read_metrics(model_dir)),
  ]
  panels = [panel for panel in panels if panel[-1]]
  _save(_draw(panels), output)
  return [tag for _, _, curves in panels for tag in curves]


def _events(path: str) -> Iterator[Any]:
  events = tf.train.summary_iterator(path)
  while True:
    try:
      yield next(events)
    except (StopIteration, tf.errors.DataLossError):
      return


def _scalar(value: Any) -> Optional[float]:
  """Returns the number of a summary of either TensorFlow version, or None."""
  if value.WhichOneof('value') == 'simple_value':
    return value.simple_value
  if value.metadata.plugin_data.plugin_name == 'scalars':
    return float(tf.make_ndarray(value.tensor))
  return None


def _read_metrics(model_dir: str) -> Dict[str, Curve]:
  """Returns curves of metrics; named with the folder if there are several."""
  folders = tf.io.gfile.glob(os.path.join(model_dir, 'eval*'))
  folders = sorted(filter(tf.io.gfile.isdir, folders))
  return {
    tag if len(folders) == 1 else os.path.basename(folder) + '/' + tag: curve
    for folder in folders
    for tag, curve in read_scalars(folder).items()
    if tag in _METRICS
  }


def _draw(panels: List[Tuple[str, str, Dict[str, Curve]]]) -> figure.Figure:
  drawing = figure.Figure(figsize=(8.5, 2.6 * len(panels)), dpi=120)
  axes = drawing.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
  for axis, (title, scale, curves) in zip(axes, panels):
    for tag, curve in curves.items():
      _draw_curve(axis, tag, curve)
    positive = all((curve.values > 0).all() for curve in curves.values())
    axis.set_yscale(scale if positive else 'linear')
    axis.set_ylabel(title)
    axis.grid(alpha=0.3)
    if len(curves) > 1:
      # Beside the panel, where it covers no curve.
      axis.legend(loc='upper left', bbox_to_anchor=(1, 1), frameon=False)
  axes[-1].set_xlabel('step')
  drawing.align_ylabels()
  drawing.tight_layout()
  return drawing


def _draw_curve(axis: Any, tag: str, curve: Curve) -> None:
  label = report.loss_label(tag)
  window = len(curve.steps) // _SMOOTHED_SHARE
  if window < 2 or tag == _LEARNING_RATE:
    marker = '.' if len(curve.steps) < 40 else ''
    axis.plot(curve.steps, curve.values, label=label, marker=marker)
    return
  # Losses of single batches are noisy: faint, with their running mean on top.
  (line,) = axis.plot(curve.steps, curve.values, alpha=0.25, linewidth=0.7)
  mean = np.convolve(curve.values, np.full([window], 1 / window), 'valid')
  first = (window - 1) // 2
  steps = curve.steps[first : first + len(mean)]
  axis.plot(steps, mean, label=label, color=line.get_color())


def _save(drawing: figure.Figure, output: str) -> None:
  ending = os.path.splitext(output)[1][1:].lower()
  known = sorted(drawing.canvas.get_supported_filetypes())
  if ending not in known:
    raise errors.UserError(
      "Picture '{}': the ending must be one of {}.".format(
        output, ', '.join(known)
      )
    )
  try:
    with files.Unfinished(output) as temporary:
      drawing.savefig(temporary, format=ending)
  except OSError as error:
    raise errors.UserError(
      f"Picture '{output}' cannot be written: {error.strerror}"
    ) from error
