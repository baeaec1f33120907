"""Plots of a page, as SVG that takes the colours of its theme."""

import io
import re
from typing import Any, Dict, Sequence, Tuple

import matplotlib
import numpy as np
from matplotlib import figure

from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import scores

# Stands for the colour of the page's text.
_INK = '#010203'
_GOOD, _BAD, _LINES = '#2fae66', '#e5484d', ('#3b8eea', '#e0912f', '#9a6ee0')
_STYLE = {
  'axes.axisbelow': True,
  'axes.edgecolor': _INK,
  'axes.facecolor': 'none',
  'axes.labelcolor': _INK,
  'axes.prop_cycle': matplotlib.cycler(
    color=[*_LINES, _GOOD, _BAD, '#14a3a3', '#c45fa0']
  ),
  'axes.spines.right': False,
  'axes.spines.top': False,
  'figure.facecolor': 'none',
  'font.size': 9,
  'grid.alpha': 0.2,
  'grid.color': _INK,
  'legend.frameon': False,
  'svg.fonttype': 'none',
  'svg.hashsalt': 'page',  # The same ids for the same plot.
  'text.color': _INK,
  'xtick.color': _INK,
  'ytick.color': _INK,
}
# Classes that curves can be chosen of.
MOST_CURVES = 100


def _plot(draw, title: str, xlabel: str, ylabel: str) -> str:
  """What `draw` does to axes, as SVG."""
  with matplotlib.rc_context(_STYLE):
    drawing = figure.Figure(figsize=(5.2, 3.0))
    axes = drawing.subplots()
    draw(axes)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid(True)
    if axes.get_legend_handles_labels()[0]:
      axes.legend()
    drawing.tight_layout()
    buffer = io.StringIO()
    drawing.savefig(buffer, format='svg')
  svg = buffer.getvalue()
  svg = svg[svg.index('<svg') :].replace(_INK, 'currentColor')
  svg = re.sub(r'(?s)<metadata>.*?</metadata>|<style.*?</style>', '', svg)
  # Ids that nothing refers to would occur in every plot.
  svg = re.sub(r' id="(?!pr-|[pm][0-9a-f]{10}")[^"]*"', '', svg)
  viewbox = re.search(r'viewBox="[^"]*"', svg).group()
  head = f'<svg class="plot" role="img" aria-label="{title}" {viewbox}>'
  return head + svg[svg.index('>') + 1 :]


def precision_recall(
  curves: Dict[Any, analysis_lib.PrecisionRecall],
) -> str:
  """Curves of each class, as groups `pr-<class id>`, and `pr-all`."""
  recalls = np.linspace(0, 1, 101)

  def draw(axes):
    for class_id, curve in curves.items():
      name = 'all' if class_id is None else class_id
      for color, label, values in zip(
        _LINES,
        ('IoU 0.5', 'IoU 0.75', 'IoU 0.5 to 0.95'),
        (curve.iou_50, curve.iou_75, curve.mean),
      ):
        label = label if class_id is None else None
        axes.plot(recalls, values, color=color, label=label, gid=f'pr-{name}')
    axes.set(xlim=(0, 1), ylim=(0, 1.02))

  return _plot(draw, 'Precision over recall', 'recall', 'precision')


def histogram(values: scores.ScoreHistogram) -> str:
  """True and false positives by score."""

  def draw(axes):
    widths, starts = np.diff(values.edges), values.edges[:-1]
    right, wrong = values.true_positives, values.false_positives
    how = {'align': 'edge', 'width': 0.9 * widths}
    axes.bar(starts, right, color=_GOOD, label='right', **how)
    axes.bar(starts, wrong, bottom=right, color=_BAD, label='wrong', **how)
    total = (right + wrong)[right + wrong > 0]
    if total.size and total.max() > 30 * np.median(total):
      axes.set_yscale('symlog')
      axes.yaxis.set_major_formatter('{x:,.0f}')

  return _plot(draw, 'Detections by score', 'score', 'detections')


def calibration(values: scores.Calibration) -> str:
  """The share of right detections over their score."""

  def draw(axes):
    axes.plot([0, 1], [0, 1], color=_INK, alpha=0.4, linestyle='--')
    axes.plot(values.scores, values.precisions, marker='o', color=_LINES[0])
    axes.set(xlim=(0, 1), ylim=(0, 1.02))

  return _plot(draw, 'Share of right ones by score', 'score', 'share right')


def curves(
  title: str, values: Dict[str, Tuple[Sequence[int], Sequence[float]]]
) -> str:
  """Steps and values of several curves by name."""

  def draw(axes):
    for name, (steps, numbers) in values.items():
      axes.plot(steps, numbers, label=name, marker='.')

  return _plot(draw, title, 'step', title)
