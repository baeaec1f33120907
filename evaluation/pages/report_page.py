"""The page of an evaluation: numbers, errors, pictures, advice."""

import logging
from typing import Any, Dict, List, Optional

import numpy as np

from evaluation import report
from evaluation.analysis import analysis as analysis_lib
from evaluation.analysis import error_types
from evaluation.pages import (
  advice,
  image_lookup,
  page,
  plots,
  report_galleries,
  run_results,
)

_log = logging.getLogger(__name__)

_MOST_CONFUSED, _MOST_PAIRS = 16, 40
_CURVES = ('AP', 'AP50', 'AP75', 'top_1_accuracy', 'top_5_accuracy')


def write(path: str, results: run_results.Results) -> None:
  """Writes the page.

  Args:
    path: of the file, local or remote.
    results: what it is about.

  Raises:
    errors.DataError: none of the images is where they should be.
  """
  pictures = page.Pictures()
  about = {'title': results.title, **_of_run(results)}
  context = _of_detections(results, pictures, about['facts'])
  page.write(path, 'report.html', pictures, **about, **context)
  _log.info("The report is '%s'; open it in a browser.", path)


def analyses_of(results: run_results.Results) -> List[analysis_lib.Analysis]:
  """Numbers of boxes, and of masks where there are any."""
  kinds = [
    kind
    for kind, key in (('bbox', 'bbox'), ('segm', 'segmentation'))
    if any(key in row for row in results.predictions)
  ]
  return [
    analysis_lib.analyse(
      results.annotations,
      results.predictions,
      kind,
      names=results.names or None,
    )
    for kind in kinds
  ]


def scenes_of(
  results: run_results.Results, analysis: analysis_lib.Analysis
) -> report_galleries.Scenes:
  """Boxes of the images of a run."""
  return report_galleries.Scenes(
    analysis, results.annotations, results.predictions
  )


def _of_detections(results, pictures, facts) -> Dict[str, Any]:
  analyses = analyses_of(results)
  # Where there are masks, they are what the errors are of.
  analysis = analyses[-1]
  choice = report_galleries.choose(analysis)
  image_of = image_lookup.lookup(
    results.images,
    results.annotations,
    report_galleries.images_of(analysis, choice),
    results.regenerate_source_id,
  )
  galleries = report_galleries.build(
    analysis, choice, scenes_of(results, analysis), image_of, pictures
  )
  return {
    'analyses': analyses,
    'analysis': analysis,
    'metric_rows': report.METRIC_ROWS,
    'advice': advice.advise(
      advice.Facts(
        analysis,
        _scales(results, analysis),
        results.params,
        facts['evaluations'],
      )
    ),
    'errors': error_types.ERRORS,
    'galleries': galleries,
    'num_left_out': pictures.num_left_out,
    'min_score': usual_score(analysis),
    'curves': _precision_recall(analysis),
    'histogram': plots.histogram(analysis.histogram),
    'calibration': plots.calibration(analysis.calibration),
    'confusion': confusion(
      analysis.confusion, [c.name for c in analysis.classes] + ['background']
    ),
  }


def _of_run(results) -> Dict[str, Any]:
  facts = run_results.facts(results)
  lines = []
  metrics: Dict[str, Any] = {}
  losses: Dict[str, Any] = {}
  for entry in facts['evaluations']:
    for name, value in entry['metrics'].items():
      is_loss = name.endswith('loss')
      if value is not None and (is_loss or name in _CURVES):
        curve = (losses if is_loss else metrics).setdefault(name, ([], []))
        curve[0].append(entry['step'])
        curve[1].append(value)
  for title, curves in (('metrics', metrics), ('losses', losses)):
    if curves and len(facts['evaluations']) > 1:
      lines.append(plots.curves(title, curves))
  return {'facts': facts, 'learning_curves': lines}


def _scales(results, analysis) -> np.ndarray:
  """Pixels at the model's input for one of each image."""
  scales = np.ones(len(analysis.images.ids))
  if results.params:
    parser = results.params.architecture.parser
    height, width = results.params.lookup(f'{parser}.output_size')
    sizes = {e['id']: e for e in results.annotations['images']}
    for i, image_id in enumerate(analysis.images.ids):
      entry = sizes[int(image_id)]
      scales[i] = min(height / entry['height'], width / entry['width'])
  return scales


def usual_score(analysis: analysis_lib.Analysis) -> float:
  """What of the best scores of classes lies in the middle."""
  scores = [c.best_score for c in analysis.classes if c.best_f1]
  return round(float(np.median(scores)), 2) if scores else 0.0


def _precision_recall(analysis) -> Dict[str, Any]:
  """Curves of the classes with the most objects, and their names."""
  most = sorted(analysis.classes, key=lambda entry: -entry.objects)
  most = [c for c in most if c.id in analysis.precision_recall]
  shown = {c.id: c.name for c in most[: plots.MOST_CURVES]}
  curves = {i: analysis.precision_recall[i] for i in (None, *shown)}
  return {
    'plot': plots.precision_recall(curves),
    'names': shown,
    'num_left_out': len(most) - len(shown),
  }


def confusion(
  matrix: np.ndarray, names: List[str], limit: Optional[int] = _MOST_CONFUSED
) -> Dict[str, Any]:
  """The classes that are confused most, as a matrix, and pairs of all.

  Args:
    matrix: int [K, K], true classes by predicted ones.
    names: of the K classes.
    limit: classes of the matrix.
  """
  wrong = matrix.copy()
  np.fill_diagonal(wrong, 0)
  totals = matrix.sum(axis=1)
  by_errors = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)))
  kept = sorted(by_errors[:limit])
  pairs = np.dstack(np.unravel_index(np.argsort(-wrong.ravel()), wrong.shape))
  return {
    'names': [names[i] for i in kept],
    'num_left_out': len(names) - len(kept),
    'rows': [
      [(int(matrix[i, j]), matrix[i, j] / max(totals[i], 1)) for j in kept]
      for i in kept
    ],
    'pairs': [
      (names[i], names[j], int(wrong[i, j]), wrong[i, j] / totals[i])
      for i, j in pairs[0][:_MOST_PAIRS]
      if wrong[i, j]
    ],
  }
