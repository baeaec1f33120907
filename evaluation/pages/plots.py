"""Plots of a page, as SVG that takes the colours of its theme."""

import io
import re
from typing import Any, Dict, Sequence, Tuple

import numpy as np
from matplotlib import figure, rc_context

from evaluation.analysis import scores

_GOOD, _BAD, _LINES = '#2fae66', '#e5484d', ('#3b8eea', '#e0912f', '#9a6ee0')
_STYLE = {
  'axes.facecolor': 'none',
  'axes.grid': True,
  'axes.spines.right': False,
  'axes.spines.top': False,
  'figure.facecolor': 'none',
  'font.size': 9,
  'grid.alpha': 0.3,
  'legend.frameon': False,
  'svg.fonttype': 'none',
  'svg.hashsalt': 'page',  # The same ids for the same plot.
}


def _plot(draw, title: str, xlabel: str, ylabel: str) -> str:
  """What `draw` does to axes, as SVG; what is black is as the page's text."""
  with rc_context(_STYLE):
    drawing = figure.Figure(figsize=(5.2, 3.0))
    axes = drawing.subplots()
    draw(axes)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
      axes.legend()
    drawing.tight_layout()
    buffer = io.StringIO()
    drawing.savefig(buffer, format='svg')
  svg = buffer.getvalue().replace('#000000', 'currentColor')
  svg = re.sub(r'(?s)<metadata>.*?</metadata>|<style.*?</style>', '', svg)
  # Ids that nothing refers to would occur in every plot.
  svg = re.sub(r' id="(?!pr-|[pm][0-9a-f]{10}")[^"]*"', '', svg)
  svg = svg[svg.index('<svg') :]
  viewbox = re.search(r'viewBox="[^"]*"', svg).group()
  head = f'<svg class="plot" role="img" aria-label="{title}" {viewbox}>'
  return head + svg[svg.index('>') + 1 :]


def precision_recall(curves: Dict[Any, np.ndarray]) -> str:
  """Curves of each class, as groups `pr-<class id>`, and `pr-all`."""
  recalls = np.linspace(0, 1, 101)

  def draw(axes):
    for class_id, of_class in curves.items():
      name = 'all' if class_id is None else class_id
      labels = ('IoU 0.5', 'IoU 0.75', 'IoU 0.5 to 0.95')
      for color, label, values in zip(_LINES, labels, of_class):
        label = label if class_id is None else None
        axes.plot(recalls, values, color=color, label=label, gid=f'pr-{name}')
    axes.set(xlim=(0, 1), ylim=(0, 1.02))

  return _plot(draw, 'Precision over recall', 'recall', 'precision')


def histogram(counts: np.ndarray) -> str:
  """True and false positives by score, int [2, bins]."""

  def draw(axes):
    right, wrong = counts
    starts = np.arange(len(right)) / len(right)
    how = {'align': 'edge', 'width': 0.9 / len(right)}
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
    axes.plot([0, 1], [0, 1], color='black', alpha=0.4, linestyle='--')
    axes.plot(values.scores, values.precisions, marker='o', color=_LINES[0])
    axes.set(xlim=(0, 1), ylim=(0, 1.02))

  return _plot(draw, 'Share of right ones by score', 'score', 'share right')


def curves(
  title: str, values: Dict[str, Tuple[Sequence[int], Sequence[float]]]
) -> str:
  """Steps and values of several curves by name."""

  def draw(axes):
    for name, line in values.items():
      axes.plot(*line, label=name, marker='.')

  return _plot(draw, title, 'step', title)
