"""The page of an evaluation: numbers, errors, pictures, advice."""

import logging
from typing import Any, Dict, List

import numpy as np

from evaluation import report
from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import classification, error_types
from evaluation.pages import (
  advice,
  page,
  plots,
  report_galleries,
  run_results,
)

_log = logging.getLogger(__name__)

_CURVES = ('AP', 'AP50', 'AP75', 'top_1_accuracy', 'top_5_accuracy')
# Classes that curves can be chosen of, and that the confusion shows.
_MOST_CURVES, _MOST_CONFUSED = 100, 16
_NUM_WORST = 120


def write(path: str, results: run_results.Results) -> None:
  """Writes the page.

  Args:
    path: of the file, local or remote.
    results: what it is about.

  Raises:
    errors.DataError: none of the images is where they should be.
  """
  facts = run_results.facts(results)
  if results.annotations is None:
    template, context = 'classes.html', _of_classes(results)
  else:
    template = 'report.html'
    context = _of_detections(results, facts['evaluations'])
  pictures = page.Pictures()
  context['galleries'] = report_galleries.with_pictures(
    context['galleries'], results, pictures
  )
  page.write(
    path,
    template,
    pictures,
    title=results.title,
    facts=facts,
    learning_curves=_learning_curves(facts['evaluations']),
    **context,
  )
  _log.info("The report is '%s'; open it in a browser.", path)


def _of_classes(results) -> Dict[str, Any]:
  analysis = classification.analyse(results.predictions, results.names)
  items = []
  for row in analysis.worst[:_NUM_WORST]:
    true, claimed = (
      analysis.names[i] for i in (row['class_id'], row['predicted'][0])
    )
    caption = f'{true}, taken for {claimed} {100 * row["scores"][0]:.0f}%'
    tags = {'true': true, 'taken for': claimed}
    items.append(page.Item(row['image_id'], caption, [('', [])], tags))
  return {
    'analysis': analysis,
    'num_images': len(results.predictions),
    'confusion': _confusion(analysis.confusion, list(analysis.names.values())),
    'galleries': {'The surest first': items},
  }


def kinds(results: run_results.Results) -> List[str]:
  """Of 'bbox' and 'segm', what was detected."""
  return [
    kind
    for kind, key in (('bbox', 'bbox'), ('segm', 'segmentation'))
    if any(key in row for row in results.predictions)
  ]


def analyse(results: run_results.Results, kind: str) -> analysis_lib.Analysis:
  """Numbers of boxes, or of masks."""
  return analysis_lib.analyse(results.annotations, results.predictions, kind)


def usual_score(analysis: analysis_lib.Analysis) -> float:
  """What of the best scores of classes lies in the middle."""
  scores = [c['best_score'] for c in analysis.classes if c['best_f1']]
  return round(float(np.median(scores)), 2) if scores else 0.0


def _of_detections(results, evaluations) -> Dict[str, Any]:
  found = [analyse(results, kind) for kind in kinds(results)]
  # Where there are masks, they are what the errors are of.
  analysis = found[-1]
  names = [c['name'] for c in analysis.classes]
  facts = advice.Facts(
    analysis, _scales(results, analysis), results.params, evaluations
  )
  most = sorted(analysis.classes, key=lambda entry: -entry['objects'])
  shown = {c['id']: c['name'] for c in most[:_MOST_CURVES] if c['objects']}
  curves = {
    key: curve
    for key, curve in analysis.precision_recall.items()
    if key is None or key in shown
  }
  galleries = {}
  if results.images is not None:
    galleries = report_galleries.build(analysis, results)
  return {
    'analyses': found,
    'analysis': analysis,
    'metric_rows': report.METRIC_ROWS,
    'advice': advice.advise(facts),
    'errors': error_types.ERRORS,
    'galleries': galleries,
    'min_score': usual_score(analysis),
    'curves': plots.precision_recall(curves),
    'curve_names': shown,
    'histogram': plots.histogram(analysis.histogram),
    'calibration': plots.calibration(analysis.calibration),
    'confusion': _confusion(analysis.confusion, [*names, 'background']),
  }


def _scales(results, analysis) -> np.ndarray:
  """Pixels at the model's input for one of each image."""
  if not results.params:
    return np.ones(len(analysis.images))
  parser = results.params.architecture.parser
  height, width = results.params.lookup(f'{parser}.output_size')
  sizes = {e['id']: e for e in results.annotations['images']}
  entries = [sizes[int(image_id)] for image_id in analysis.images.ids]
  return np.array(
    [min(height / e['height'], width / e['width']) for e in entries]
  )


def _confusion(matrix: np.ndarray, names: List[str]) -> Dict[str, Any]:
  """The classes that are confused most: counts, and shares of the true ones."""
  errors = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
  kept = np.sort(np.argsort(-errors, kind='stable')[:_MOST_CONFUSED])
  shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
  return {
    'names': [names[i] for i in kept],
    'num_left_out': len(names) - len(kept),
    'rows': [[(matrix[i, j], shares[i, j]) for j in kept] for i in kept],
  }


def _learning_curves(evaluations: List[Dict[str, Any]]) -> List[str]:
  """Plots of metrics and of losses."""
  curves: Dict[str, Any] = {'metrics': {}, 'losses': {}}
  for entry in evaluations if len(evaluations) > 1 else ():
    for name, value in entry['metrics'].items():
      kind = 'losses' if name.endswith('loss') else 'metrics'
      if value is not None and (kind == 'losses' or name in _CURVES):
        steps, values = curves[kind].setdefault(name, ([], []))
        steps.append(entry['step'])
        values.append(value)
  return [
    plots.curves(title, lines) for title, lines in curves.items() if lines
  ]
